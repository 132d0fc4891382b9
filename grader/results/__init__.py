"""Results of grading: the report, and everything derived from reports."""

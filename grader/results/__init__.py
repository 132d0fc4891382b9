"""What grading produces: the report, and what is derived from reports."""

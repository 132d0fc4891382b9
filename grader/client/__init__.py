"""The client of a grading server, used by the command line."""

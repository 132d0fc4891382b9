"""What the command line asks of a grading server."""

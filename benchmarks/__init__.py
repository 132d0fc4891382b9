"""Timings of the grader and of other graders: `make bench`."""

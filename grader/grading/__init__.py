"""Grading one submission: run it, judge it, report."""

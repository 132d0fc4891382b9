"""Grades as spreadsheets: a plain one, Canvas' exported gradebook filled in, Moodle's grading worksheet filled in.

Who has no report, or points that are still to be decided, gets no grade in what an LMS imports, never a silent zero.
"""

from grader.gradebook.canvas import canvas_csv
from grader.gradebook.entries import Entry, FilledIn, entries_of
from grader.gradebook.marks import marking_csv, read_marking_csv
from grader.gradebook.moodle import moodle_csv
from grader.gradebook.plain import plain_csv

__all__ = [
    "Entry",
    "FilledIn",
    "canvas_csv",
    "entries_of",
    "marking_csv",
    "moodle_csv",
    "plain_csv",
    "read_marking_csv",
]

"""Grades as spreadsheets: a plain one, Canvas' exported gradebook filled in, Moodle's grading worksheet filled in.

A submission without a report, or with points that are still to be decided, gets no grade in files for an LMS, never a
silent zero.
"""

from grader.gradebook.canvas import fill_canvas
from grader.gradebook.entries import FilledSheet, GradebookEntry, read_entries
from grader.gradebook.marks import read_marking_sheet, write_marking_sheet
from grader.gradebook.moodle import fill_moodle
from grader.gradebook.plain import write_plain_csv

__all__ = [
    "FilledSheet",
    "GradebookEntry",
    "fill_canvas",
    "fill_moodle",
    "read_entries",
    "read_marking_sheet",
    "write_marking_sheet",
    "write_plain_csv",
]

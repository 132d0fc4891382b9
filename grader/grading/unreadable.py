"""The report of a submission in which nothing can be read. It is made without a sandbox, and decides nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from grader.assignment import Assignment, Item
from grader.results.report import File, ItemResult, Report, Verdict
from grader.submission.submission import Submission
from grader.submission.written.answers import add_written_answers

__all__ = ["report_unreadable"]

_MESSAGE = "nothing was judged, because no notebook could be read; the notices say why, and what to do"


def report_unreadable(submission: Submission, assignment: Assignment, only: Collection[str] | None = None) -> Report:
    """Return a report that leaves every item to a person, and whose notices name each file.

    Args:
        submission: a submission without notebooks.
        assignment: the assignment.
        only: ids of the items of the report; None for all.
    """
    chosen = [item for item in assignment.items if only is None or item.id in only]
    by_test = [_leave_open(item) for item in chosen if not item.by_person]
    items = add_written_answers(by_test, submission, assignment, only)
    return Report(
        assignment=assignment.name,
        title=assignment.title,
        revision=assignment.revision,
        files=(),
        items=tuple(replace(item, message=_MESSAGE) for item in items),
        notices=submission.notices,
        companions=tuple(File(file.path, file.sha256) for file in submission.files),
        timing={"cells_seconds": 0.0, "total_seconds": 0.0, "cells": []},
    )


def _leave_open(item: Item) -> ItemResult:
    return ItemResult(item.id, item.section, item.title, 0, item.points, Verdict.PENDING, _MESSAGE)

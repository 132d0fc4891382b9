"""Grade one submission from Python, with nothing to set up and nothing kept warm afterwards."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from grader.assignment import Assignment
from grader.collection import read_submission
from grader.grading.session import GradingSession
from grader.models.recipe import Mode
from grader.results.report import Report
from grader.submission.submission import Submission

__all__ = ["grade"]


def grade(
    submission: Submission | str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    assignment: Assignment | str | os.PathLike[str],
    *,
    mode: Mode | str = Mode.NONE,
    only: Collection[str] | None = None,
    data: Path | None = None,
    unsafe: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Grade one submission and return its report.

    This starts a warm process and ends it again, which takes seconds: for many submissions use `GradingSession`.

    Args:
        submission: a submission, the path of a notebook, zip file or folder, or the paths of all its files.
        assignment: an assignment, its name, or the path of its folder.
        mode: "none" trains nothing and leaves training items pending; "quick" and "full" as in docs/training.md.
        only: ids of the items to judge; None for all.
        data: the folder with Fashion-MNIST; None to look for it.
        unsafe: whether to grade without layers of the sandbox that strangers' work needs (docs/sandbox.md).
        progress: called with a few words about each step.

    Raises:
        InputError: a path does not exist, there is no such assignment, its rubric contradicts itself, or the data
            set is not in `data`. Or the sandbox lacks a required layer on this machine.
        SystemFault: the grader or the machine failed; the submission may be graded again.
    """
    if isinstance(submission, str | os.PathLike):
        submission = read_submission([submission])
    elif not isinstance(submission, Submission):
        submission = read_submission(submission)
    name = str(assignment.folder) if isinstance(assignment, Assignment) else os.fspath(assignment)
    with GradingSession(data, unsafe=unsafe) as session:
        return session.grade(submission, name, Mode(mode), only, progress)

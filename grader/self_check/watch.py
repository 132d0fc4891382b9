"""Checking a submission again whenever one of its files is saved: what changed at once, the rest a moment later.

A notebook's cells are run anew each time, in a fresh sandbox. Judged at once are the items that the change may have an
effect on (`changes.py`); the others keep their verdicts until nobody has saved for a moment, and then everything is
judged once more. So what stands there in the end is what `grader check` says of the same files.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from grader.assignment import Item
from grader.errors import SubmissionError
from grader.results.report import Report
from grader.self_check.changes import compare_notebooks
from grader.submission.submission import Submission, read_submission

__all__ = ["CheckedState", "Grade", "watch_submission"]

Progress = Callable[[str], None]
Grade = Callable[[Submission, Collection[str], Progress], Report]


class _SavedMeanwhile(Exception):
    """What is being judged once more is no longer what the files hold."""


@dataclass(frozen=True)
class CheckedState:
    """One state of the files and its report.

    Attributes:
        submission: the notebooks as they were read.
        report: of all items that are watched.
        judged: ids of the items that were judged in this state.
        kept: ids of the items whose verdicts are those of an earlier state.
        seconds: from noticing the change to the report.
    """

    submission: Submission
    report: Report
    judged: frozenset[str]
    kept: frozenset[str]
    seconds: float


def watch_submission(
    paths: Sequence[Path], items: Sequence[Item], grade: Grade, *, poll: float = 0.1, quiet: float = 2.0
) -> Iterator[CheckedState | SubmissionError]:
    """Give a report now, and another after each save; an error where a file cannot be read as a notebook just then.

    Args:
        paths: the notebooks of one submission.
        items: those that are judged.
        grade: called with a submission, the ids of the items to judge, and what it tells its progress (which may
            raise); returns a report of these items.
        poll: how often the files are looked at, in seconds.
        quiet: after so many seconds without a save, what kept its verdict is judged as well.

    Raises:
        SubmissionError: from the beginning a file is no notebook.
    """
    files = _Files(paths)
    last, broken = _whole(files.read(), items, grade), False
    yield last
    while True:
        if not files.saved(poll, quiet if last.kept else None):
            try:
                last = _whole(last.submission, items, grade, files.let_nobody_wait)
            except _SavedMeanwhile:
                continue
            yield last
            continue
        try:
            submission = files.read()
        except SubmissionError as error:
            broken = True
            yield error
            continue
        if broken or submission.identity != last.submission.identity:
            last, broken = _again(last, submission, items, grade), False
            yield last


def _untold(_: str) -> None:
    pass


def _whole(submission: Submission, items: Sequence[Item], grade: Grade, progress: Progress = _untold) -> CheckedState:
    started, everything = time.monotonic(), frozenset(item.id for item in items)
    report = grade(submission, everything, progress)
    return CheckedState(submission, report, everything, frozenset(), time.monotonic() - started)


def _again(last: CheckedState, submission: Submission, items: Sequence[Item], grade: Grade) -> CheckedState:
    """Judge what the difference to the last state may have an effect on; all, where the cells end in other ways."""
    started, everything = time.monotonic(), frozenset(item.id for item in items)
    change = compare_notebooks(last.submission, submission, items)
    if not change.items and not change.cells:
        return replace(last, submission=submission, judged=frozenset(), seconds=time.monotonic() - started)
    ended = _ends(last.report)
    if any(ended.get(place) != "ok" for place in change.cells) or not change.items < everything:
        return replace(_whole(submission, items, grade), seconds=time.monotonic() - started)
    report = grade(submission, change.items, _untold)
    if _ends(report) != ended or report.limits_hit != last.report.limits_hit:
        # A cell that breaks off leaves out what comes after it, and that is in no source.
        return replace(_whole(submission, items, grade), seconds=time.monotonic() - started)
    results = {result.id: result for result in (*last.report.items, *report.items)}
    whole = replace(report, items=tuple(results[result.id] for result in last.report.items))
    return CheckedState(submission, whole, change.items, everything - change.items, time.monotonic() - started)


def _ends(report: Report) -> dict[tuple[str, int], str]:
    return {(cell.file, cell.cell): cell.status for cell in report.cells}


class _Files:
    """The notebooks on disk, and how they looked when they were read last."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._seen = self._looks()

    def read(self) -> Submission:
        """Read the notebooks; what is saved from now on is noticed."""
        self._seen = self._looks()
        return read_submission(self._paths)

    def saved(self, poll: float, seconds: float | None) -> bool:
        """Wait until a file looks otherwise than when it was read; False where none does for so many seconds."""
        ends = None if seconds is None else time.monotonic() + seconds
        while self._looks() == self._seen:
            if ends is not None and time.monotonic() >= ends:
                return False
            time.sleep(poll)
        return True

    def let_nobody_wait(self, _: str) -> None:
        """Break off where a file was saved since it was read."""
        if self._looks() != self._seen:
            raise _SavedMeanwhile

    def _looks(self) -> list[tuple[int, int, int] | None]:
        return [_look(path) for path in self._paths]


def _look(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file is written or replaced, None where there is none at the moment."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino)

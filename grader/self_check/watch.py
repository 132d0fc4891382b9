"""Check a submission again whenever one of its files is saved: the changed part at once, the rest a moment later.

A notebook's cells run again each time, in a fresh sandbox. The items that the change may affect (`changes.py`) are
judged at once. The others keep their verdicts until no file has been saved for a moment, and then all items are judged.
So the final verdicts are those of `grader check` for the same files.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from grader.assignment import Item
from grader.collection.reading import list_paths, read_submission
from grader.errors import InputError, RubricFault, SubmissionError
from grader.results.notice import CellStop, NoticeKind
from grader.results.report import Report
from grader.self_check.changes import compare_notebooks
from grader.submission.submission import Submission, require_notebook

__all__ = ["CheckedState", "Grade", "watch_submission"]

_OK: tuple[str, tuple[CellStop, ...]] = ("ok", ())

Progress = Callable[[str], None]
Grade = Callable[[Submission, Collection[str], Progress], Report]


class _SavedMeanwhile(Exception):
    """A file was saved while an earlier state was being judged."""


@dataclass(frozen=True)
class CheckedState:
    """One state of the files and its report.

    Attributes:
        submission: the notebooks in this state.
        report: the report on all items.
        judged: ids of the items that were judged in this state.
        kept: ids of the items whose verdicts are from an earlier state.
        seconds: the time from noticing the change to the report.
    """

    submission: Submission
    report: Report
    judged: frozenset[str]
    kept: frozenset[str]
    seconds: float


def watch_submission(
    paths: Sequence[Path], items: Sequence[Item], grade: Grade, *, poll: float = 0.1, quiet: float = 2.0
) -> Iterator[CheckedState | RubricFault | SubmissionError]:
    """Yield a report now and after each save, or an error if a file is not a valid notebook at that moment.

    Args:
        paths: the files and folders of one submission.
        items: the items to judge.
        grade: a function that takes a submission, the ids of the items to judge and a progress callback (which may
            raise), and returns a report on these items.
        poll: the interval between two looks at the files, in seconds.
        quiet: the time without a save, in seconds, after which the items that kept their verdicts are judged too.

    Raises:
        SubmissionError: there is no notebook that can be read at the start.
    """
    files = _Files(paths)
    last, is_broken = _check_all(files.read(), items, grade), False
    yield last
    while True:
        try:
            if not files.wait_for_save(poll, quiet if last.kept and not is_broken else None):
                last = _check_all(last.submission, items, grade, files.raise_if_saved)
            else:
                submission = files.read()
                if not is_broken and submission.identity == last.submission.identity:
                    continue
                last, is_broken = _check_changes(last, submission, items, grade), False
        except _SavedMeanwhile:
            continue
        except (RubricFault, SubmissionError) as error:
            is_broken = True
            yield error
            continue
        yield last


def _ignore_progress(_: str) -> None:
    pass


def _check_all(
    submission: Submission, items: Sequence[Item], grade: Grade, progress: Progress = _ignore_progress
) -> CheckedState:
    started, everything = time.monotonic(), frozenset(item.id for item in items)
    report = grade(submission, everything, progress)
    return CheckedState(submission, report, everything, frozenset(), time.monotonic() - started)


def _check_changes(last: CheckedState, submission: Submission, items: Sequence[Item], grade: Grade) -> CheckedState:
    """Judge the items that the change may affect, or all items if cells end differently than before."""
    if submission.files != last.submission.files:
        return _check_all(submission, items, grade)
    started, everything = time.monotonic(), frozenset(item.id for item in items)
    change = compare_notebooks(last.submission, submission, items)
    if not change.items and not change.cells:
        return replace(last, submission=submission, judged=frozenset(), seconds=time.monotonic() - started)
    ends = _get_cell_ends(last.report)
    if any(ends.get(place) != _OK for place in change.cells) or not change.items < everything:
        return replace(_check_all(submission, items, grade), seconds=time.monotonic() - started)
    report = grade(submission, change.items, _ignore_progress)
    if _get_cell_ends(report) != ends or report.limits_hit != last.report.limits_hit:
        # What a statement that raises would have bound is missing, which no reading of the source can show.
        return replace(_check_all(submission, items, grade), seconds=time.monotonic() - started)
    results = {result.id: result for result in (*last.report.items, *report.items)}
    merged = replace(report, items=tuple(results[result.id] for result in last.report.items))
    return CheckedState(submission, merged, change.items, everything - change.items, time.monotonic() - started)


def _get_cell_ends(report: Report) -> dict[tuple[str, int], tuple[str, tuple[CellStop, ...]]]:
    return {(cell.file, cell.cell): (cell.status, cell.stops) for cell in report.cells}


class _Files:
    """The submission's files on disk, and their status at the last read."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._read: set[str] = set()  # names of the notebooks that could be read
        self._last = self._get_statuses()

    def read(self) -> Submission:
        """Read the files. Saves after this call are noticed.

        Raises:
            SubmissionError: no notebook can be read, or one no longer can, because it is half written.
        """
        self._last = self._get_statuses()
        submission = read_submission(self._paths)
        require_notebook(submission)
        broken = [notice for notice in submission.notices if notice.kind is NoticeKind.UNREADABLE_FILE]
        for notice in broken:
            if notice.file in self._read:
                raise SubmissionError(str(notice))
        self._read |= {notebook.name for notebook in submission.notebooks}
        return submission

    def wait_for_save(self, poll: float, seconds: float | None) -> bool:
        """Wait until a file changes. Return False if none does within `seconds` (None: wait without a limit)."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while self._get_statuses() == self._last:
            if deadline is not None and time.monotonic() >= deadline:
                return False
            time.sleep(poll)
        return True

    def raise_if_saved(self, _: str) -> None:
        """Raise _SavedMeanwhile if a file was saved since the last read. This is a progress callback."""
        if self._get_statuses() != self._last:
            raise _SavedMeanwhile

    def _get_statuses(self) -> dict[Path, tuple[int, int, int] | None]:
        try:
            paths = list_paths(self._paths)
        except (InputError, OSError):  # one is missing at the moment
            paths = list(self._paths)
        return {path: _get_status(path) for path in paths}


def _get_status(path: Path) -> tuple[int, int, int] | None:
    """Return values that change if a file is written or replaced, None if it is missing at the moment."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino)

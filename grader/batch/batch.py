"""A class graded on this machine: several processes, files that are written whole, and a journal to go on from."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from grader.assignment import Assignment
from grader.batch.graders import Graders, GradingOutcome, ProgressListener
from grader.batch.marks import read_marks, write_marks
from grader.batch.messages import BatchSettings
from grader.cache_folder import write_whole
from grader.collection import CollectedSubmission
from grader.errors import InputError
from grader.gradebook import read_entries, read_marking_sheet, write_plain_csv
from grader.models.recipe import Mode
from grader.render.html import render_html
from grader.render.overview import render_overview
from grader.results.journal import JOURNAL, JournalRecord, Status, append_record, load_report, read_journal
from grader.results.marks import add_marks
from grader.results.overview import Overview, summarise
from grader.results.report import Report
from grader.sandbox.host.sandbox import Zygote

__all__ = ["GRADEBOOK", "SUMMARY", "apply_marks", "grade_batch"]

GRADEBOOK = "gradebook.csv"
SUMMARY = "summary.html"

_LOCK = ".lock"


def grade_batch(
    handed_in: Sequence[CollectedSubmission],
    assignment: Assignment,
    folder: Path,
    watcher: ProgressListener,
    *,
    mode: Mode = Mode.NONE,
    data: Path | None = None,
    jobs: int | None = None,
) -> Overview:
    """Grade what a class handed in, and write reports, gradebook and summary.

    What this folder's journal says was graded before is not graded again, if notebooks, rubric and mode are the same.

    Args:
        handed_in: the submissions, in the order in which they are begun.
        assignment: the rubric, with its limits.
        folder: where everything is written; made where it is missing.
        watcher: told how far it is.
        mode: what is done with trainings.
        data: where Fashion-MNIST must be; None to look for it.
        jobs: how many processes grade; None for three on two cores, where nothing is trained, else one on each.

    Returns:
        What everything in the folder came to.

    Raises:
        InputError: the folder cannot be written, is used by another batch, or has another assignment's reports.
        SystemFault: a process that grades could not be started.
    """
    with _alone(folder):
        (folder / JOURNAL).touch()
        journal = read_journal(folder)
        _refuse_another_assignment(folder, journal.values(), assignment)
        begun = {one.key: _begun(one, assignment, mode) for one in handed_in}
        waiting = [one for one in handed_in if not _is_done(folder, begun[one.key], journal.get(one.key))]
        alike = _alike(waiting, begun)
        jobs = max(1, min(jobs or _at_once(mode), len(alike)))
        watcher.begins(len(handed_in), len(handed_in) - len(waiting), jobs)
        settings = BatchSettings(
            assignment=assignment.folder,
            mode=mode,
            data=data,
            trainings_at_once=1 if jobs > 1 else None,
            reads_graphs=_has_models(alike, assignment),
        )
        with ExitStack() as stack:
            # One for all: each would import the same, and have as much memory of its own.
            lines = stack.enter_context(Zygote(assignment.packages, lines=jobs)).more_lines if alike else []
            graders = stack.enter_context(closing(Graders(settings, watcher, lines)))
            for same, outcome in graders.grade(alike, jobs):
                for number, one in enumerate(same):
                    seconds = 0.0 if number else outcome.seconds
                    _write(folder, replace(begun[one.key], seconds=seconds), outcome, watcher)
        return _sum_up(folder)


def apply_marks(folder: Path, sheet: str, by: str) -> int:
    """Let a marking sheet's marks join the reports, the gradebook and the summary of a batch; all of them or none.

    Marks that were given before stay where the sheet has no points. They are kept beside the journal, so that a batch
    that is graded again has them too.

    Args:
        folder: the one that `grader batch` wrote.
        sheet: the filled in CSV file's text.
        by: who marked.

    Returns:
        How many marks are new.

    Raises:
        InputError: there is no batch in the folder or it is being written to, or a row of the sheet is wrong.
    """
    if (folder / "batch.json").exists():
        raise InputError(f"{folder} was fetched from a server, which would not know these marks; give them there")
    entries = read_entries(folder)  # before a lock is made in a folder that is no batch's
    with _alone(folder):
        new = read_marking_sheet(sheet, entries, by, datetime.now(UTC))
        marks = read_marks(folder)
        for key, given in new.items():
            marks[key] = marks.get(key, {}) | {mark.item: mark for mark in given}
        write_marks(folder, marks)
        for entry in entries:
            if entry.report is not None:
                report = add_marks(entry.report, marks.get(entry.key, {}).values())
                if report != entry.report:
                    _write_report(folder, entry.key, report)
        _sum_up(folder)
    return sum(map(len, new.values()))


def _at_once(mode: Mode) -> int:
    """Return how many processes keep this machine busy: while one waits for its sandbox, another can use its core."""
    cores = len(os.sched_getaffinity(0))
    return (3 * cores + 1) // 2 if mode is Mode.NONE else cores


def _alike(
    waiting: Iterable[CollectedSubmission], begun: Mapping[str, JournalRecord]
) -> list[list[CollectedSubmission]]:
    """Gather submissions whose files are the same, names too: they have the same report, so one of them is graded."""
    found: dict[tuple[str, ...], list[CollectedSubmission]] = {}
    for one in waiting:
        files = begun[one.key].files
        found.setdefault((*files, *files.values()) if files else (one.key,), []).append(one)
    return list(found.values())


def _has_models(alike: Iterable[list[CollectedSubmission]], assignment: Assignment) -> bool:
    """Tell whether anybody wrote of a model that can be trained: the graphs of such are read."""
    names = {name.encode() for item in assignment.trained for name in item.names}
    return any(name in content for same in alike for _, content in same[0].files for name in names)


def _sum_up(folder: Path) -> Overview:
    overview = summarise(_ended(folder, record) for record in read_journal(folder).values())
    write_whole(folder / GRADEBOOK, write_plain_csv(read_entries(folder)).encode())
    write_whole(folder / SUMMARY, render_overview(overview).encode())
    return overview


def _ended(folder: Path, record: JournalRecord) -> tuple[JournalRecord, Report | None]:
    """Return a record with its report; one that is lost is told, and the others are summed up all the same."""
    try:
        return record, load_report(folder, record)
    except InputError as error:
        return replace(record, status=Status.FAILED, message=str(error), report=""), None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Have a folder to ourselves; the kernel gives it free when this process ends, however that happens."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / _LOCK, "ab")  # noqa: SIM115 - so that only opening it is our caller's mistake
    except OSError as error:
        raise InputError(f"cannot write reports to {folder}: {error.strerror}; give another folder") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"another `grader batch` is writing to {folder}: wait, or give another folder") from None
        yield


def _refuse_another_assignment(folder: Path, records: Iterable[JournalRecord], assignment: Assignment) -> None:
    for record in records:
        try:
            report = load_report(folder, record)
        except InputError:
            continue  # gone or damaged: it will be written again
        if report is not None and report.assignment != assignment.name:
            raise InputError(f"{folder} has reports of {report.assignment}: give {assignment.name} a folder of its own")
        if report is not None:
            return


def _begun(one: CollectedSubmission, assignment: Assignment, mode: Mode) -> JournalRecord:
    """Return what a submission's record has before it is graded."""
    files = {name: hashlib.sha256(content).hexdigest() for name, content in one.files}
    return JournalRecord(
        one.key, one.name, files, assignment.revision, str(mode), Status.FAILED, identifiers=dict(one.identifiers)
    )


def _is_done(folder: Path, begun: JournalRecord, record: JournalRecord | None) -> bool:
    """Tell whether a record is of this submission as it is now; what broke is tried again."""
    if record is None or record.status is Status.FAILED:
        return False
    if (record.files, record.revision, record.mode) != (begun.files, begun.revision, begun.mode):
        return False
    return record.status is Status.UNREADABLE or all((folder / name).is_file() for name in _names(record.key))


def _names(key: str) -> tuple[str, str]:
    """Return the names of a submission's report as JSON and as HTML."""
    stem = f"{key}_" if f"{key}.html".casefold() == SUMMARY else key
    return f"{stem}.json", f"{stem}.html"


def _write(folder: Path, begun: JournalRecord, outcome: GradingOutcome, watcher: ProgressListener) -> None:
    """Write a submission's report, then its line in the journal: what the journal says is there."""
    json_name, html_name = _names(begun.key)
    record = replace(begun, status=outcome.status, message=outcome.message)
    report = outcome.report and add_marks(outcome.report, read_marks(folder).get(begun.key, {}).values())
    if report is not None:
        _write_report(folder, begun.key, report)
        record = replace(record, report=json_name, revision=report.revision)
    append_record(folder, record)
    if report is None:  # what was handed in before may have had one
        for name in (json_name, html_name):
            (folder / name).unlink(missing_ok=True)
    watcher.ended(record, report)


def _write_report(folder: Path, key: str, report: Report) -> None:
    json_name, html_name = _names(key)
    write_whole(folder / html_name, render_html(report).encode())
    write_whole(folder / json_name, report.to_json().encode())

"""Grades a class on this machine: several processes, a journal to resume from, and files written atomically."""

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
from grader.gpu.access import find_library_folders
from grader.gpu.device import GPU
from grader.gradebook import read_entries, read_marking_sheet, write_plain_csv
from grader.installation_key import load_installation_key
from grader.models.recipe import Mode
from grader.render.html import render_html
from grader.render.overview import render_overview
from grader.results.journal import JOURNAL, JournalRecord, Status, append_record, load_report, read_journal
from grader.results.marks import add_marks
from grader.results.overview import Overview, summarise
from grader.results.report import Report
from grader.results.source_cells import unpack_sources
from grader.sandbox.host.warm_processes import open_zygote

__all__ = ["GRADEBOOK", "SUMMARY", "apply_marks", "grade_batch"]

GRADEBOOK = "gradebook.csv"
SUMMARY = "summary.html"

_LOCK = ".lock"
_SOURCES = ".sources"  # a folder, for pages that show code


def grade_batch(
    submissions: Sequence[CollectedSubmission],
    assignment: Assignment,
    folder: Path,
    listener: ProgressListener,
    *,
    mode: Mode = Mode.NONE,
    data: Path | None = None,
    jobs: int | None = None,
    unsafe: bool = False,
    gpus: Sequence[GPU] = (),
) -> Overview:
    """Grade the submissions of a class, and write reports, gradebook and summary.

    Submissions that the journal in `folder` lists as graded are skipped if their notebooks, the rubric and the mode
    have not changed, also if they were graded with an earlier key of the installation.

    Args:
        submissions: the submissions, in the order in which to start them.
        assignment: the assignment.
        folder: the folder to write to; it is made if it is missing.
        listener: what progress is reported to.
        mode: what is done with trainings.
        data: the folder that Fashion-MNIST must be in; None to look for it.
        jobs: how many processes grade. None for three on two cores if nothing is trained, else for one on each core.
        unsafe: whether to grade without layers of the sandbox that strangers' work needs.
        gpus: GPUs that nothing else uses meanwhile. If there are any, as many processes grade, each with one of them.

    Returns:
        The overview of all submissions in the folder.

    Raises:
        InputError: the folder cannot be written, is used by another batch, or has another assignment's reports; or
            the installation's key cannot be used, or the sandbox lacks a required layer on this machine.
        SystemFault: a process that grades could not be started.
    """
    key = load_installation_key()
    with _lock(folder):
        (folder / JOURNAL).touch()
        journal = read_journal(folder)
        _refuse_another_assignment(folder, journal.values(), assignment)
        records = {submission.key: _make_record(submission, assignment, mode) for submission in submissions}
        waiting = [item for item in submissions if not _is_done(folder, records[item.key], journal.get(item.key))]
        alike = _group_equal(waiting, records)
        jobs = max(1, min(len(gpus) or jobs or _choose_jobs(mode), len(alike)))
        listener.on_start(len(submissions), len(submissions) - len(waiting), jobs)
        settings = BatchSettings(
            assignment=assignment.folder,
            mode=mode,
            data=data,
            trainings_at_once=1 if jobs > 1 else None,
            unsafe=unsafe,
            reads_graphs=_has_models(alike, assignment),
            key=key,
        )
        with ExitStack() as stack:
            folders = find_library_folders(gpus)
            # One zygote for all: each of several would import the same and use as much memory.
            zygote = stack.enter_context(open_zygote(assignment, folders)) if alike else None
            lines = [zygote.open_line() for _ in range(jobs)] if zygote else []
            graders = stack.enter_context(closing(Graders(settings, listener, lines, gpus)))
            for same, outcome in graders.grade(alike, jobs):
                for number, submission in enumerate(same):
                    seconds = 0.0 if number else outcome.seconds
                    _write(folder, replace(records[submission.key], seconds=seconds), outcome, listener)
        return _sum_up(folder)


def apply_marks(folder: Path, sheet: str, by: str) -> int:
    """Add the marks of a marking sheet to the reports, the gradebook and the summary of a batch: all marks or none.

    Earlier marks stay if the sheet has no points for them. Marks are stored beside the journal, so they survive if the
    batch is graded again.

    Args:
        folder: the folder that `grader batch` wrote.
        sheet: the text of the filled-in CSV file.
        by: who gave the marks.

    Returns:
        The number of new marks.

    Raises:
        InputError: there is no batch in the folder, another command is writing to it, or a row of the sheet is wrong.
    """
    if (folder / "batch.json").exists():
        raise InputError(f"{folder} was fetched from a server, which would not know these marks; give them there")
    entries = read_entries(folder)  # first, so that no lock file is left in a folder without a batch
    with _lock(folder):
        new = read_marking_sheet(sheet, entries, by, datetime.now(UTC))
        marks = read_marks(folder)
        for key, new_marks in new.items():
            marks[key] = marks.get(key, {}) | {mark.item: mark for mark in new_marks}
        write_marks(folder, marks)
        for entry in entries:
            if entry.report is not None:
                report = add_marks(entry.report, marks.get(entry.key, {}).values())
                if report != entry.report:
                    _write_report(folder, entry.key, report)
        _sum_up(folder)
    return sum(map(len, new.values()))


def _choose_jobs(mode: Mode) -> int:
    """Return how many processes keep this machine busy: while one waits for its sandbox, another can use its core."""
    cores = len(os.sched_getaffinity(0))
    return (3 * cores + 1) // 2 if mode is Mode.NONE else cores


def _group_equal(
    submissions: Iterable[CollectedSubmission], records: Mapping[str, JournalRecord]
) -> list[list[CollectedSubmission]]:
    """Group submissions with equal files and file names. They get equal reports, so one of each group is graded."""
    groups: dict[tuple[str, ...], list[CollectedSubmission]] = {}
    for submission in submissions:
        files = records[submission.key].files
        # The notices on files that were left out are part of the report, too.
        groups.setdefault((*files, *files.values(), *map(str, submission.notices)), []).append(submission)
    return list(groups.values())


def _has_models(alike: Iterable[list[CollectedSubmission]], assignment: Assignment) -> bool:
    """Return whether a submission names a model that can be trained, so that graphs are read."""
    names = {name.encode() for item in assignment.trained for name in item.names}
    return any(name in content for same in alike for _, content in same[0].files for name in names)


def _sum_up(folder: Path) -> Overview:
    overview = summarise(_load(folder, record) for record in read_journal(folder).values())
    write_whole(folder / GRADEBOOK, write_plain_csv(read_entries(folder)).encode())
    write_whole(folder / SUMMARY, render_overview(overview).encode())
    return overview


def _load(folder: Path, record: JournalRecord) -> tuple[JournalRecord, Report | None]:
    """Return a record with its report. If the report is lost, return a failed record, and sum up the others."""
    try:
        return record, load_report(folder, record)
    except InputError as error:
        return replace(record, status=Status.FAILED, message=str(error), report=""), None


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Lock a folder. The kernel unlocks it when this process ends, however that happens."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / _LOCK, "ab")  # noqa: SIM115 - only an error of opening it is an InputError
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
            continue  # missing or damaged: it will be written again
        if report is not None and report.assignment != assignment.name:
            raise InputError(f"{folder} has reports of {report.assignment}: give {assignment.name} a folder of its own")
        if report is not None:
            return


def _make_record(submission: CollectedSubmission, assignment: Assignment, mode: Mode) -> JournalRecord:
    """Return a submission's record as it is before grading."""
    return JournalRecord(
        key=submission.key,
        name=submission.name,
        files={name: hashlib.sha256(content).hexdigest() for name, content in submission.files},
        revision=assignment.revision,
        mode=str(mode),
        status=Status.FAILED,
        identifiers=dict(submission.identifiers),
    )


def _is_done(folder: Path, current: JournalRecord, record: JournalRecord | None) -> bool:
    """Return whether the journal's `record` is of the submission as it is now. Failed ones are graded again."""
    if record is None or record.status is Status.FAILED:
        return False
    if (record.files, record.revision, record.mode) != (current.files, current.revision, current.mode):
        return False
    return all((folder / name).is_file() for name in _names(record.key))


def _names(key: str) -> tuple[str, str]:
    """Return the names of a submission's report files, JSON and HTML."""
    stem = f"{key}_" if f"{key}.html".casefold() == SUMMARY else key
    return f"{stem}.json", f"{stem}.html"


def _write(folder: Path, record: JournalRecord, outcome: GradingOutcome, listener: ProgressListener) -> None:
    """Write a submission's report, then its record, so that every report in the journal exists."""
    json_name, html_name = _names(record.key)
    record = replace(record, status=outcome.status, message=outcome.message)
    report = outcome.report and add_marks(outcome.report, read_marks(folder).get(record.key, {}).values())
    if report is not None:
        try:
            (folder / _SOURCES).mkdir(exist_ok=True)
            write_whole(_find_sources(folder, record.key), outcome.sources.encode("utf-8", "replace"))
            _write_report(folder, record.key, report)
            record = replace(record, report=json_name, revision=report.revision)
        except OSError:
            raise  # the folder cannot be written, and no other report either
        except Exception as error:  # a slip of ours in showing what is in this report
            message = f"its report cannot be shown: {type(error).__name__}: {error}"
            record, report = replace(record, status=Status.FAILED, message=message), None
    append_record(folder, record)
    if report is None:  # an earlier version of the submission may have had one
        for path in (folder / json_name, folder / html_name, _find_sources(folder, record.key)):
            path.unlink(missing_ok=True)
    listener.on_end(record, report)


def _write_report(folder: Path, key: str, report: Report) -> None:
    json_name, html_name = _names(key)
    try:
        sources = unpack_sources(_find_sources(folder, key).read_text("utf-8"))
    except (OSError, ValueError):  # a folder that an earlier version wrote
        sources = {}
    write_whole(folder / html_name, render_html(report, sources).encode())
    write_whole(folder / json_name, report.to_json().encode())


def _find_sources(folder: Path, key: str) -> Path:
    """Return the path of a submission's cells, with which its page is written again when it is marked."""
    return folder / _SOURCES / _names(key)[0]

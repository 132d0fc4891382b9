"""The journal of a batch: a line for each finished submission, so that a batch that was stopped can be resumed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from grader.errors import InputError
from grader.results.report import Report

__all__ = ["JOURNAL", "JournalRecord", "Status", "append_record", "load_report", "read_journal"]

JOURNAL = "batch.jsonl"


class Status(StrEnum):
    """How a submission of a batch ended."""

    GRADED = "graded"  # there is a report
    UNREADABLE = "unreadable"  # no notebook can be read; there is a report that says why
    FAILED = "failed"  # a system error: the grader or the machine failed three times


@dataclass(frozen=True)
class JournalRecord:
    """One finished submission.

    Attributes:
        key: the key of the submission in the batch; safe as a file name.
        name: the name that the learning management system shows.
        identifiers: ids in that system, such as `canvas_id`.
        files: the sha256 of each notebook and of each file beside them, by their paths.
        revision: the revision of the rubric.
        mode: what was done with trainings.
        message: why there is no report, or nothing that could be graded; "" otherwise.
        report: the report's JSON file relative to the journal's folder; "" if there is none.
        seconds: the wall-clock time that grading took.
        marks: for reports from a server, a value that changes with a person's marks; "" if there are none.
    """

    key: str
    name: str
    files: Mapping[str, str]
    revision: str
    mode: str
    status: Status
    message: str = ""
    report: str = ""
    seconds: float = 0.0
    identifiers: Mapping[str, str] = field(default_factory=dict)
    marks: str = ""


def append_record(folder: Path, record: JournalRecord) -> None:
    """Append a record as one line in one write, so that a batch that is killed leaves at most one incomplete line."""
    line = json.dumps(asdict(record), ensure_ascii=True, sort_keys=True) + "\n"
    with open(folder / JOURNAL, "ab") as journal:
        if journal.tell() and not _ends_with_newline(folder / JOURNAL):
            journal.write(b"\n")
        journal.write(line.encode())


def read_journal(folder: Path) -> dict[str, JournalRecord]:
    """Return the last record of each submission by its key, skipping incomplete lines.

    Raises:
        InputError: there is no journal in this folder.
    """
    try:
        lines = (folder / JOURNAL).read_bytes().splitlines()
    except OSError as error:
        raise InputError(f"{folder / JOURNAL}: {error.strerror}; give the folder that `grader batch` wrote") from None
    return {record.key: record for line in lines if (record := _decode(line))}


def load_report(folder: Path, record: JournalRecord) -> Report | None:
    """Return the report of a record, or None if it has none.

    Raises:
        InputError: the file is missing, or is not a report.
    """
    if not record.report:
        return None
    path = folder / record.report
    try:
        return Report.from_json(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; grade the batch again to have it") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _decode(line: bytes) -> JournalRecord | None:
    try:
        values: dict[str, Any] = json.loads(line)
        return JournalRecord(**{**values, "status": Status(values["status"])})
    except (ValueError, TypeError, KeyError):
        return None


def _ends_with_newline(path: Path) -> bool:
    with open(path, "rb") as journal:
        journal.seek(-1, 2)
        return journal.read(1) == b"\n"

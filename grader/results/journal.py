"""The journal of a batch: one line a submission that is done with, so that a batch that was stopped can go on."""

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
    UNREADABLE = "unreadable"  # there is no notebook, or what there is cannot be read as one
    FAILED = "failed"  # we or the machine broke, three times: a system error


@dataclass(frozen=True)
class JournalRecord:
    """One submission that is done with.

    Attributes:
        key: the submission's in the batch; safe as a file name.
        name: as the learning management system shows it.
        identifiers: what that system knows it by, e.g. `canvas_id`.
        files: the notebooks' names, and the sha256 of each.
        revision: of the rubric.
        mode: what was done with trainings.
        message: why there is no report, "" where there is one.
        report: the report's JSON file below the journal's folder, "" where there is none.
        seconds: how long it took, by the wall.
        marks: tells a server's report from the same with other marks of a person; "" where it has none.
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
    """Write a record as one line, in one write: a batch that is killed leaves at most its last line torn."""
    line = json.dumps(asdict(record), ensure_ascii=True, sort_keys=True) + "\n"
    with open(folder / JOURNAL, "ab") as journal:
        if journal.tell() and not _ends_whole(folder / JOURNAL):
            journal.write(b"\n")
        journal.write(line.encode())


def read_journal(folder: Path) -> dict[str, JournalRecord]:
    """Return the last record of each submission by its key; torn lines are left aside.

    Raises:
        InputError: there is no journal in this folder.
    """
    try:
        lines = (folder / JOURNAL).read_bytes().splitlines()
    except OSError as error:
        raise InputError(f"{folder / JOURNAL}: {error.strerror}; give the folder that `grader batch` wrote") from None
    return {record.key: record for line in lines if (record := _record(line))}


def load_report(folder: Path, record: JournalRecord) -> Report | None:
    """Return the report of a record, None where it has none.

    Raises:
        InputError: the file is gone, or holds something else.
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


def _record(line: bytes) -> JournalRecord | None:
    try:
        values: dict[str, Any] = json.loads(line)
        return JournalRecord(**{**values, "status": Status(values["status"])})
    except (ValueError, TypeError, KeyError):
        return None


def _ends_whole(path: Path) -> bool:
    with open(path, "rb") as journal:
        journal.seek(-1, 2)
        return journal.read(1) == b"\n"

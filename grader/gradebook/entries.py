"""Entries of the gradebook, and sheets that are filled in with them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from grader.errors import InputError
from grader.gradebook.spreadsheet import Sheet
from grader.results.journal import Status, load_report, read_journal
from grader.results.report import Report

__all__ = [
    "FilledSheet",
    "GradebookEntry",
    "describe_other_maximum",
    "describe_untouched_grade",
    "detect_decimal_separator",
    "format_number",
    "index_by_identifier",
    "is_number",
    "make_filled_sheet",
    "read_entries",
]

_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")


@dataclass(frozen=True)
class GradebookEntry:
    """One submission in the gradebook.

    Attributes:
        key: the key of the submission in the batch.
        name: the name that the learning management system shows.
        identifiers: ids in that system, such as `canvas_id`.
        report: the report, or None if there is none.
        problem: why there is no report.
        system_error: whether the grader is at fault. Then `problem` is for staff only.
    """

    key: str
    name: str
    identifiers: Mapping[str, str] = field(default_factory=dict)
    report: Report | None = None
    problem: str = ""
    system_error: bool = False

    @property
    def held_back(self) -> str:
        """Why no grade can be given yet; "" if one can be given."""
        if self.report is None:
            return self.problem or "it was not graded"
        if not self.report.is_readable:
            return self.report.obstacle
        pending, maximum = self.report.pending_points, self.report.max_score
        return f"{format_number(pending)} of {format_number(maximum)} points are still to be decided" if pending else ""


@dataclass(frozen=True)
class FilledSheet:
    """A spreadsheet for an LMS to import.

    Attributes:
        text: the text of the CSV file, including a byte order mark if the original had one.
        without_grade: the names of those without a grade, each with the reason.
        not_found: the names of those who have no row in the sheet.
        notices: other remarks to read before the file is imported.
    """

    text: str
    without_grade: tuple[str, ...]
    not_found: tuple[str, ...]
    notices: tuple[str, ...] = ()


def read_entries(folder: Path) -> list[GradebookEntry]:
    """Read the entries of a batch from the folder that `grader batch` wrote, sorted by key.

    Raises:
        InputError: there is no batch in the folder.
    """
    entries = []
    for key, record in sorted(read_journal(folder).items()):
        report, problem = None, record.message
        try:
            report = load_report(folder, record)
        except InputError as error:  # one lost report must not cost the whole gradebook
            problem = str(error)
        system_error = report is None and record.status is not Status.UNREADABLE
        entries.append(GradebookEntry(key, record.name, record.identifiers, report, problem, system_error))
    return entries


def make_filled_sheet(
    sheet: Sheet, entries: Sequence[GradebookEntry], keys: set[str], notices: Iterable[str]
) -> FilledSheet:
    """Return a sheet that has been filled in; `keys` are those of the entries that have a row in it."""
    without = tuple(f"{entry.name}: {entry.held_back}" for entry in entries if entry.held_back)
    missing = tuple(entry.name for entry in entries if entry.key not in keys)
    layers = dict.fromkeys(name for entry in entries if entry.report for name in entry.report.missing_layers)
    unsafe = [f"submissions were graded in a sandbox without {', '.join(layers)}"] if layers else []
    return FilledSheet(sheet.text(), without, missing, tuple(dict.fromkeys((*notices, *unsafe))))


def index_by_identifier(entries: Iterable[GradebookEntry], identifier: str) -> dict[str, GradebookEntry]:
    """Return the entries by one of their ids in an LMS, without those that have no such id.

    Raises:
        InputError: two entries have the same id.
    """
    by_id: dict[str, GradebookEntry] = {}
    for entry in entries:
        if (value := entry.identifiers.get(identifier)) is None:
            continue
        if value in by_id:
            raise InputError(f"{by_id[value].key} and {entry.key} have the same {identifier} {value}; leave one out")
        by_id[value] = entry
    return by_id


def is_number(cell: str) -> bool:
    """Return whether a cell holds a number of points, with either decimal separator."""
    return _NUMBER.fullmatch(cell.strip()) is not None


def describe_other_maximum(cell: str, entries: Iterable[GradebookEntry]) -> list[str]:
    """Return a notice if the maximum in the LMS is another one; grades are not converted."""
    maximum = next((entry.report.max_score for entry in entries if entry.report is not None), None)
    if maximum is None or not is_number(cell) or float(cell.strip().replace(",", ".")) == maximum:
        return []
    return [
        f"the reports give up to {format_number(maximum)} points, but the maximum in the LMS is {cell.strip()}: "
        "change it there first"
    ]


def format_number(value: float, decimal: str = ".") -> str:
    """Return points as text without trailing zeros."""
    return f"{value:.4f}".rstrip("0").rstrip(".").replace(".", decimal)


def describe_untouched_grade(entry: GradebookEntry, cell: str) -> str:
    """Return a notice that an existing grade was not changed, because only its author knows where it is from."""
    return f"{entry.name}: the grade {cell.strip()} is already there and was not changed"


def detect_decimal_separator(sample: str) -> str:
    """Return the decimal separator of a number in an LMS's file. Excel may take a number with the other for a date."""
    return "," if re.fullmatch(r"\d+,\d+", sample.strip()) else "."

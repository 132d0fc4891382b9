"""Entries of the gradebook, and what filling them in came to."""

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
        key: the submission's in the batch.
        name: as the learning management system shows it.
        identifiers: what that system knows it by, e.g. `canvas_id`.
        report: None where there is none.
        problem: why there is none.
        system_error: whether that is our fault; what it says then is for staff.
    """

    key: str
    name: str
    identifiers: Mapping[str, str] = field(default_factory=dict)
    report: Report | None = None
    problem: str = ""
    system_error: bool = False

    @property
    def held_back(self) -> str:
        """Why no grade may be given yet, "" where one may."""
        if self.report is None:
            return self.problem or "it was not graded"
        pending, maximum = self.report.pending_points, self.report.max_score
        return f"{format_number(pending)} of {format_number(maximum)} points are still to be decided" if pending else ""


@dataclass(frozen=True)
class FilledSheet:
    """A spreadsheet for an LMS to import.

    Attributes:
        text: of the CSV file, a byte order mark included where there was one.
        without_grade: who gets none, and why.
        not_found: whose row is not there.
        notices: what else to know before it is imported.
    """

    text: str
    without_grade: tuple[str, ...]
    not_found: tuple[str, ...]
    notices: tuple[str, ...] = ()


def read_entries(folder: Path) -> list[GradebookEntry]:
    """Read the entries of a batch, in order of their keys, from the folder that `grader batch` wrote.

    Raises:
        InputError: there is no batch in the folder.
    """
    entries = []
    for key, record in sorted(read_journal(folder).items()):
        report, problem = None, record.message
        try:
            report = load_report(folder, record)
        except InputError as error:  # one lost report is one grade less, not a gradebook less
            problem = str(error)
        ours = report is None and record.status is not Status.UNREADABLE
        entries.append(GradebookEntry(key, record.name, record.identifiers, report, problem, ours))
    return entries


def make_filled_sheet(
    sheet: Sheet, entries: Sequence[GradebookEntry], found: set[str], notices: Iterable[str]
) -> FilledSheet:
    """Return what a sheet that is filled in came to; `found` are the keys of those whose row is there."""
    without = tuple(f"{entry.name}: {entry.held_back}" for entry in entries if entry.held_back)
    missing = tuple(entry.name for entry in entries if entry.key not in found)
    return FilledSheet(sheet.text(), without, missing, tuple(dict.fromkeys(notices)))


def index_by_identifier(entries: Iterable[GradebookEntry], identifier: str) -> dict[str, GradebookEntry]:
    """Return the entries by what an LMS knows them by; those it does not know are left out.

    Raises:
        InputError: two are known by the same.
    """
    found: dict[str, GradebookEntry] = {}
    for entry in entries:
        if (value := entry.identifiers.get(identifier)) is None:
            continue
        if value in found:
            raise InputError(f"{found[value].key} and {entry.key} have the same {identifier} {value}; leave one out")
        found[value] = entry
    return found


def is_number(cell: str) -> bool:
    """Return whether an LMS's cell is a number of points, with either decimal separator."""
    return _NUMBER.fullmatch(cell.strip()) is not None


def describe_other_maximum(cell: str, entries: Iterable[GradebookEntry]) -> list[str]:
    """Say that the LMS grades out of another number of points, which nobody converts."""
    maximum = next((entry.report.max_score for entry in entries if entry.report is not None), None)
    if maximum is None or not is_number(cell) or float(cell.strip().replace(",", ".")) == maximum:
        return []
    there = cell.strip()
    return [f"the reports give up to {format_number(maximum)} points, there it is up to {there}: change it there first"]


def format_number(value: float, decimal: str = ".") -> str:
    """Write points without needless zeros."""
    return f"{value:.4f}".rstrip("0").rstrip(".").replace(".", decimal)


def describe_untouched_grade(entry: GradebookEntry, cell: str) -> str:
    """Say that a grade which is there was not touched: nobody but its teacher knows where it came from."""
    return f"{entry.name}: {cell.strip()} is there already, and was left"


def detect_decimal_separator(sample: str) -> str:
    """Return the decimal separator of a number that an LMS wrote; Excel may take a number with another for a date."""
    return "," if re.fullmatch(r"\d+,\d+", sample.strip()) else "."

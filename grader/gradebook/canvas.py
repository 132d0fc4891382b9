"""Fills in a gradebook that was exported from Canvas, for import into Canvas."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from grader.errors import InputError
from grader.gradebook.entries import (
    FilledSheet,
    GradebookEntry,
    describe_other_maximum,
    describe_untouched_grade,
    detect_decimal_separator,
    format_number,
    index_by_identifier,
    make_filled_sheet,
)
from grader.gradebook.spreadsheet import Sheet, escape_name

__all__ = ["fill_canvas"]

_PERSON = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
# Columns that describe the student. The ID is not among them: Canvas makes it and finds the student by it.
_SHOWN = {"Student", "LastName", "FirstName", "SIS User ID", "SIS Login ID", "Integration ID", "Section"}
_POINTS = "Points Possible"
_KEPT = {"EX", "N/A"}  # excused, and not assigned to this student


def fill_canvas(exported: str | None, entries: Iterable[GradebookEntry], title: str) -> FilledSheet:
    """Fill in the gradebook that was exported from Canvas; every other column stays as it is.

    Canvas reads it in `lib/gradebook_importer.rb` of instructure/canvas-lms.

    Args:
        exported: the text of the CSV file. None to make a new one of the entries that have a Canvas id.
        entries: the entries; rows are matched by `canvas_id`.
        title: the title of the assignment, with or without the number in brackets that Canvas adds.

    Raises:
        InputError: the text is not an exported gradebook, or it has no column with this title.
    """
    entries = list(entries)
    by_id = index_by_identifier(entries, "canvas_id")
    sheet = _make_sheet(by_id, title) if exported is None else Sheet.read(exported)
    header = sheet.rows[0]
    if "ID" not in header:
        raise InputError("the file has no column ID; in Canvas' gradebook choose Export, and give that file")
    column = _find_column(header, title)
    decimal = next((detect_decimal_separator(row[column]) for row in sheet.rows[1:] if _POINTS in row[0]), ".")
    notices = []
    for row in sheet.rows[1:]:
        if _POINTS in row[0]:
            notices += describe_other_maximum(row[column], entries)
            continue
        row[:] = [escape_name(cell) if name in _SHOWN else cell for name, cell in zip(header, row, strict=True)]
        entry = by_id.get(row[header.index("ID")].strip())
        if entry is None:
            continue
        if entry.report is not None and not entry.held_back and row[column].strip() not in _KEPT:
            row[column] = format_number(entry.report.score, decimal)
        elif row[column].strip():
            notices.append(describe_untouched_grade(entry, row[column]))
    ids = {row[header.index("ID")].strip() for row in sheet.rows[1:]}
    keys = {entry.key for canvas_id, entry in by_id.items() if canvas_id in ids}
    return make_filled_sheet(sheet, entries, keys, notices)


def _make_sheet(by_id: Mapping[str, GradebookEntry], title: str) -> Sheet:
    maximum = next((entry.report.max_score for entry in by_id.values() if entry.report is not None), None)
    points = [f"    {_POINTS}", "", "", "", "", "" if maximum is None else format_number(maximum)]
    people = [[entry.name, canvas_id, "", "", "", ""] for canvas_id, entry in by_id.items()]
    return Sheet([[*_PERSON, title], points, *people])


def _find_column(header: Sequence[str], title: str) -> int:
    assignments = [at for at, name in enumerate(header) if re.search(r" \(\d+\)$", name)]
    matching = [at for at in assignments if header[at].rpartition(" (")[0].strip() == title.strip()]
    if (exact := [at for at, name in enumerate(header) if name.strip() == title.strip()]) and len(exact) == 1:
        return exact[0]
    if len(matching) == 1:
        return matching[0]
    count = "no column" if not matching else "more than one column"
    columns = ", ".join(header[at] for at in assignments) or "none with a number in brackets"
    raise InputError(f"the gradebook has {count} {title}; name one of these as it is written there: {columns}")

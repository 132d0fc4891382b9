"""The marking sheet: a CSV file of the items that wait for a person, to be filled in and read back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from grader.errors import InputError
from grader.gradebook.entries import GradebookEntry, format_number, is_number
from grader.gradebook.spreadsheet import BYTE_ORDER_MARK, Sheet, escape_name, escape_text
from grader.results.marks import WITHOUT_COMMENT, Mark, check_mark
from grader.results.report import ItemResult, Verdict

__all__ = ["read_marking_sheet", "write_marking_sheet"]

_HEADER = ["key", "name", "item", "text", "points", "comment"]
_NEEDED = ("key", "item", "points", "comment")


def write_marking_sheet(entries: Iterable[GradebookEntry]) -> str:
    """Return a CSV file with a row for each item that a person marks, sorted by item.

    Points and comment are empty if the item is not marked yet. The text starts with a byte order mark, as the gradebook
    does.
    """
    reports = [(entry, entry.report) for entry in entries if entry.report is not None]
    order = list(dict.fromkeys(item.id for _, report in reports for item in report.items if item.by_person))
    rows = [
        [
            *map(escape_name, (entry.key, entry.name, item.id)),
            escape_text(str(item.evidence.get("text", "")) or str(item.evidence.get("awaits_person", ""))),
            *map(escape_text, _current_mark(item)),
        ]
        for name in order
        for entry, report in reports
        for item in report.items
        if item.by_person and item.id == name
    ]
    return Sheet([_HEADER, *rows], BYTE_ORDER_MARK, end="\r\n").text()


def read_marking_sheet(text: str, entries: Iterable[GradebookEntry], by: str, at: datetime) -> dict[str, list[Mark]]:
    """Return the new marks by the key of their submission.

    Rows without points, and rows whose mark has not changed since the sheet was written, give no mark.

    Args:
        text: the text of the CSV file, with any delimiter.
        entries: the entries of the batch.
        by: who gave the marks.
        at: when they were given.

    Raises:
        InputError: a row is not about an item that a person marks, or its points are out of range. The message names
            the line.
    """
    written = {escape_name(entry.key): entry for entry in entries}
    marks: dict[str, list[Mark]] = {}
    for where, row in _read_rows(text):
        entry, item = _find_item(written, row, where)
        points, comment = row["points"].strip(), row["comment"]
        if not points and comment.strip():
            raise InputError(f"{where}: there is a comment and no points; give points, 0 for none")
        if not points or [points, comment] == [escape_text(cell) for cell in _current_mark(item)]:
            continue
        if not is_number(points):
            raise InputError(f"{where}: {points[:50]!r} is no number of points; write it as 0.5")
        mark = Mark(item.id, float(points.replace(",", ".")), comment, by, at)
        try:
            check_mark(mark.item, mark.points, mark.comment, item.max_points)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        marks.setdefault(entry.key, []).append(mark)
    return marks


def _current_mark(item: ItemResult) -> list[str]:
    """Return the points and the comment that an item has, as text."""
    if item.verdict is Verdict.PENDING:
        return ["", ""]
    return [format_number(item.points), "" if item.message == WITHOUT_COMMENT else item.message]


def _find_item(
    entries: Mapping[str, GradebookEntry], row: Mapping[str, str], where: str
) -> tuple[GradebookEntry, ItemResult]:
    """Return what a row is about. `entries` are the submissions by their keys as the sheet has them."""
    if row["key"] not in entries:
        raise InputError(f"{where}: the batch has no such submission; leave the column key as it was exported")
    entry = entries[row["key"]]
    judged = entry.report.items if entry.report else ()
    items = [item for item in judged if item.by_person and escape_name(item.id) == row["item"]]
    if not items:
        raise InputError(f"{where}: its report has no such item that a person marks; export the sheet again")
    return entry, items[0]


def _read_rows(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield a description of the place of each row, and its cells by column.

    The place includes key and item, because a line number alone is hard to find: texts run over many lines.
    """
    sheet = Sheet.read(text)
    header = [name.strip() for name in sheet.rows[0]]
    missing = [name for name in _NEEDED if header.count(name) != 1]
    if missing:
        raise InputError(f"line 1: there must be one column {missing[0]}; fill in what `grader marks export` wrote")
    seen: set[tuple[str, str]] = set()
    for line, cells in zip(sheet.lines[1:], sheet.rows[1:], strict=True):
        row = dict(zip(header, cells, strict=True))
        place = (row["key"], row["item"])
        where = f"line {line} ({', '.join(part[:100] for part in place)})"
        if place in seen:
            raise InputError(f"{where}: this is in an earlier line too; leave one out")
        seen.add(place)
        yield where, row

"""The plain gradebook: a row for each submission, a column for each item."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from grader.gradebook.entries import GradebookEntry, format_number
from grader.gradebook.spreadsheet import BYTE_ORDER_MARK, Sheet, escape_name
from grader.results.report import Report, Verdict

__all__ = ["write_plain_csv"]


def write_plain_csv(entries: Iterable[GradebookEntry]) -> str:
    """Return a row for each entry: points so far, points still to be decided, points of each item, and problems.

    A problem is why there is no grade yet, or a file that was not used. If layers of the sandbox were missing, a last
    column names them.

    The text starts with a byte order mark, without which Excel does not read Korean.
    """
    entries = list(entries)
    identifiers = sorted({name for entry in entries for name in entry.identifiers})
    reports = [entry.report for entry in entries if entry.report is not None]
    items = list(dict.fromkeys(item.id for report in reports for item in report.items))
    without = ["sandbox without"] if any(report.missing_layers for report in reports) else []
    rows = [["key", "name", *identifiers, "score", "max", "pending", *items, "problem", *without]]
    for entry in entries:
        person = [entry.key, entry.name, *(entry.identifiers.get(name, "") for name in identifiers)]
        missing = [", ".join(entry.report.missing_layers if entry.report else ())] if without else []
        rows.append([*person, *_points(entry.report, items), _describe_problem(entry), *missing])
    return Sheet([[escape_name(cell) for cell in row] for row in rows], BYTE_ORDER_MARK, end="\r\n").text()


def _describe_problem(entry: GradebookEntry) -> str:
    unused = entry.report.unused_files if entry.report is not None and entry.report.is_readable else ()
    return " ".join("; ".join((*([entry.held_back] if entry.held_back else []), *unused)).split())


def _points(report: Report | None, items: Sequence[str]) -> list[str]:
    if report is None or not report.is_readable:
        return [""] * (3 + len(items))
    earned = {item.id: format_number(item.points) for item in report.items if item.verdict is not Verdict.PENDING}
    sums = [format_number(value) for value in (report.score, report.max_score, report.pending_points)]
    return [*sums, *(earned.get(item, "") for item in items)]

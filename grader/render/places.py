"""The places that a report names, in words, and the lines of code that stand there."""

from __future__ import annotations

from collections.abc import Iterator

from grader.render.text import describe_place, sanitise_line, sanitise_text
from grader.results.notice import Notice
from grader.results.report import CellResult, ItemResult, Report, Verdict

__all__ = ["describe_failed_cell", "describe_item_place", "describe_notice", "describe_report_place", "quote_place"]


def describe_report_place(report: Report, file: str | None, cell: int | None, line: int | None = None) -> str:
    """Return a place in words, with the number of the notebook's cells; "" if no file is known."""
    return describe_place(file, cell, line, report.count_cells(file))


def describe_item_place(report: Report, item: ItemResult) -> str:
    """Return where an item was earned or lost, "" if it is not known."""
    return describe_report_place(report, item.file, item.cell, item.line)


def quote_place(report: Report, item: ItemResult) -> Iterator[str]:
    """Yield where an item lost points or waits, and the line of code that lost them, as far as they are known.

    Nothing is yielded for an item that is lost because of another: that one's place is of interest.
    """
    if item.verdict is Verdict.PASSED or (item.has_lost and item.because_of is not None):
        return
    if place := describe_item_place(report, item):
        yield place
    if item.code and item.has_lost:
        yield f"    {sanitise_line(item.code)}"


def describe_notice(report: Report, notice: Notice) -> str:
    """Return a notice with its place."""
    return sanitise_text(notice.describe(report.count_cells(notice.file)))


def describe_failed_cell(report: Report, cell: CellResult) -> str:
    """Return how a cell ended that did not end well."""
    place = describe_report_place(report, cell.file, cell.cell)
    return f"{place}: {sanitise_line(cell.status)}. {sanitise_text(cell.message)}"

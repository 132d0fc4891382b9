"""Hints as plain text: for a terminal, and for a notebook, which puts the same text into its page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from grader.assignment import Assignment
from grader.render.evidence import Exhibit, make_exhibits
from grader.render.text import MARKS, describe_place, format_points, sanitise_line, sanitise_text
from grader.results.hints import Hint, make_hints
from grader.results.report import ItemResult

__all__ = ["render_hints"]


def render_hints(
    assignment: Assignment, results: Sequence[ItemResult], steps: int, more: str
) -> Iterator[tuple[ItemResult, str]]:
    """Give each result with its text: the verdict, so many steps of hints, and how to get the next.

    Args:
        assignment: what the results are of.
        results: of some of its items.
        steps: how many hints are shown.
        more: the command that shows them, with {item} and {hint} to fill in.
    """
    items = {item.id: item for item in assignment.items}
    for result in results:
        told = make_hints(result, items[result.id], assignment.sections.get(result.section, ""))
        yield result, "\n".join(_lines(result, told, steps, more))


def _lines(result: ItemResult, told: Sequence[Hint], steps: int, more: str) -> Iterator[str]:
    earned = f"{format_points(result.points)} / {format_points(result.max_points)}"
    yield f"{MARKS[result.verdict]} {sanitise_line(result.id)}  {earned}  {sanitise_line(result.title)}"
    if not told:
        yield f"  {sanitise_text(result.message)}"
        return
    where = describe_place(result.file, result.cell)
    if where:
        yield f"  {where}"
    for number, hint in enumerate(told[:steps], start=1):
        yield f"  {number}. {sanitise_text(hint.text)}"
        yield from (f"     {each}" for each in _shown(hint.shown))
    if steps < len(told):
        yield f"  More: {more.format(item=result.id, hint=steps + 1)}"
    elif steps > len(told):
        yield "  There is no further hint."


def _shown(evidence: Mapping[str, Any]) -> Iterator[str]:
    for group in make_exhibits(evidence):
        yield from (f"{each.label}: {each.text}" for each in group if not each.rows)
        drawn = [_matrix(each) for each in group if each.rows]
        widths = [max(map(len, matrix)) for matrix in drawn]
        for row in zip_longest(*drawn, fillvalue=""):
            yield "    ".join(part.ljust(width) for part, width in zip(row, widths, strict=True)).rstrip()


def _matrix(exhibit: Exhibit) -> list[str]:
    """Draw a matrix under its name, its columns aligned at the right."""
    widest = max((len(entry.text) for row in exhibit.rows for entry in row), default=0)
    rows = [" ".join(entry.text.rjust(widest) for entry in row) for row in exhibit.rows]
    return [f"{exhibit.label} {exhibit.text}", *rows]

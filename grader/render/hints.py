"""Render hints as plain text, for a terminal and for the output of a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from types import MappingProxyType
from typing import Any

from grader.assignment import Assignment
from grader.render.evidence import Exhibit, make_exhibits
from grader.render.text import MARKS, describe_place, format_points, sanitise_line, sanitise_text
from grader.results.hints import Hint, make_hints
from grader.results.report import ItemResult

__all__ = ["render_hints"]


def render_hints(
    assignment: Assignment,
    results: Sequence[ItemResult],
    steps: int,
    more: str,
    cells: Mapping[str, int | None] = MappingProxyType({}),
) -> Iterator[tuple[ItemResult, str]]:
    """Yield each result with its text: the verdict, `steps` hints, and how to get the next one.

    Args:
        assignment: the assignment.
        results: the results of some of its items.
        steps: the number of hints to show.
        more: the command that shows more, with {item} and {hint} as placeholders.
        cells: the number of cells of each notebook, as far as they are known.
    """
    items = {item.id: item for item in assignment.items}
    for result in results:
        hints = make_hints(result, items[result.id], assignment.sections.get(result.section, ""))
        yield result, "\n".join(_render_lines(result, hints, steps, more, cells))


def _render_lines(
    result: ItemResult, hints: Sequence[Hint], steps: int, more: str, cells: Mapping[str, int | None]
) -> Iterator[str]:
    earned = f"{format_points(result.points)} / {format_points(result.max_points)}"
    yield f"{MARKS[result.verdict]} {sanitise_line(result.id)}  {earned}  {sanitise_line(result.title)}"
    if not hints:
        yield f"  {sanitise_text(result.message)}"
        return
    location = describe_place(result.file, result.cell, result.line, cells.get(result.file or ""))
    if location and result.because_of is None:
        yield f"  {location}"
        yield from [f"      {sanitise_line(result.code)}"] if result.code else []
    for number, hint in enumerate(hints[:steps], start=1):
        yield f"  {number}. {sanitise_text(hint.text)}"
        yield from (f"     {line}" for line in _render_evidence(hint.shown))
    if steps < len(hints):
        yield f"  More: {more.format(item=result.id, hint=steps + 1)}"
    elif steps > len(hints):
        yield "  There is no further hint."


def _render_evidence(evidence: Mapping[str, Any]) -> Iterator[str]:
    for group in make_exhibits(evidence):
        for exhibit in group:
            if not exhibit.rows:
                meaning = f" ({exhibit.meaning})" if exhibit.meaning else ""
                yield f"{exhibit.label}: {exhibit.text}{meaning}"
            elif exhibit.meaning:
                yield f"{exhibit.label} is {exhibit.meaning}"
        matrices = [_render_matrix(exhibit) for exhibit in group if exhibit.rows]
        widths = [max(map(len, matrix)) for matrix in matrices]
        for row in zip_longest(*matrices, fillvalue=""):
            yield "    ".join(part.ljust(width) for part, width in zip(row, widths, strict=True)).rstrip()


def _render_matrix(exhibit: Exhibit) -> list[str]:
    """Return the lines of a matrix under its name, with right-aligned columns."""
    widest = max((len(entry.text) for row in exhibit.rows for entry in row), default=0)
    rows = [" ".join(entry.text.rjust(widest) for entry in row) for row in exhibit.rows]
    return [f"{exhibit.label} {exhibit.text}", *rows]

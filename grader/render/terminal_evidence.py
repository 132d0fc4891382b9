"""Evidence on a terminal: values as lines of text, and matrices side by side or in parts that fit its width."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.columns import Columns
from rich.console import RenderableType
from rich.text import Text

from grader.render.evidence import Exhibit, MatrixEntry, read_cases

__all__ = ["render_evidence"]

_GAP = (0, 4)


def render_evidence(evidence: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    """Yield the values of the smallest case that is known: its inputs, the results, and what else there is.

    The message of an item describes the cases, so they are not described again. A page has the other case, and also the
    inputs of code that gave no result.

    Args:
        evidence: an item's evidence.
        width: the number of columns; a wider matrix is shown in parts, some columns at a time.
    """
    case = next(iter(read_cases(evidence)), None)
    if case is None or not (case.expected or case.found or case.others):
        return
    results = [case.expected + case.found] if len(case.expected) == 1 else [case.expected, case.found]
    for group in (case.inputs, *results, case.others):
        yield from _render_group(group, width)


def _render_group(group: Sequence[Exhibit], width: int) -> Iterator[RenderableType]:
    """Render values, the matrices among them side by side below what their names mean."""
    for exhibit in group:
        if not exhibit.rows:
            style = "bold red" if exhibit.differs else ""
            meaning = f" ({exhibit.meaning})" if exhibit.meaning else ""
            yield Text.assemble((f"{exhibit.label}: ", "dim"), (exhibit.text, style), (meaning, "dim"))
    for exhibit in group:
        if exhibit.rows and exhibit.meaning:
            yield Text(f"{exhibit.label} is {exhibit.meaning}", "dim")
    matrices = [_render_matrix(exhibit, width) for exhibit in group if exhibit.rows]
    if matrices:
        yield Columns(matrices, padding=_GAP)


def _render_matrix(exhibit: Exhibit, width: int) -> Text:
    """Render a matrix under its name, with right-aligned columns."""
    text = Text().append(exhibit.label, "dim")
    text.append(f" {exhibit.text}", "bold red" if exhibit.differs else "dim")
    widest = max((cell_len(entry.text) for row in exhibit.rows for entry in row), default=0)
    columns = max(len(row) for row in exhibit.rows)
    fitting = max(1, width // (widest + 1))
    for first in range(0, columns, fitting):
        if columns > fitting:
            last = min(first + fitting, columns)
            text.append(f"\ncolumns {first + 1} to {last}" if last > first + 1 else f"\ncolumn {last}", "dim")
        for row in exhibit.rows:
            _append_row(text, row[first : first + fitting], widest)
    return text


def _append_row(text: Text, row: Sequence[MatrixEntry], widest: int) -> None:
    text.append("\n")
    for entry in row:
        text.append(" " * (widest - cell_len(entry.text) + 1))
        text.append(entry.text, "bold red underline" if entry.differs else "")

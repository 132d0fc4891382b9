"""The code that an item is about: the lines of a cell around one line, as they are shown beside the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from grader.render.text import sanitise_text

__all__ = ["CodeLine", "CodeView", "make_code_view"]

_MAX_WHOLE = 40  # lines of a cell that is shown whole
_MAX_LINES = 60
_MAX_WIDTH = 300  # characters of a line
_BEFORE = 12  # lines above the marked one, if the statement around it is longer than what is shown


@dataclass(frozen=True)
class CodeLine:
    """One line with its number in the cell, counted from 1."""

    number: int
    text: Markup
    is_marked: bool


@dataclass(frozen=True)
class CodeView:
    """Lines of one cell, and how many stand above and below them."""

    lines: tuple[CodeLine, ...]
    above: int
    below: int


def make_code_view(source: str, line: int | None) -> CodeView | None:
    """Return the part of a cell to show: all of a short one, else the function or class around the line.

    Args:
        source: the cell's source.
        line: the line that is marked, counted from 1; None for none.
    """
    lines = source.rstrip().split("\n")
    if not source.strip():
        return None
    marked = line if line is not None and 1 <= line <= len(lines) else None
    start, end = _choose_lines(lines, marked)
    shown = tuple(CodeLine(number + 1, _show(lines[number]), number + 1 == marked) for number in range(start, end))
    return CodeView(shown, start, len(lines) - end)


def _choose_lines(lines: Sequence[str], marked: int | None) -> tuple[int, int]:
    """Return the first line to show and the one behind the last, counted from 0."""
    if len(lines) <= _MAX_WHOLE or marked is None:
        return 0, min(len(lines), _MAX_WHOLE)
    start = marked - 1
    while start > 0 and not _begins_statement(lines[start]):
        start -= 1
    while start > 0 and lines[start - 1].startswith("@"):
        start -= 1
    end = marked
    while end < len(lines) and not _begins_statement(lines[end]):
        end += 1
    while end > marked and not lines[end - 1].strip():
        end -= 1
    if end - start > _MAX_LINES:
        start = max(start, marked - 1 - _BEFORE)
        end = min(end, start + _MAX_LINES)
    return start, end


def _begins_statement(line: str) -> bool:
    """Return whether a line begins a statement that stands in no other, as far as its indentation tells."""
    return bool(line.strip()) and not line[0].isspace() and line[0] not in ")]}#"


def _show(line: str) -> Markup:
    # As Markup, because templates shorten plain text like a message.
    return escape(sanitise_text(line, _MAX_WIDTH))

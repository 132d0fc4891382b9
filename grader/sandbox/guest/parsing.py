"""Parse a cell statement by statement, so that one which is no Python costs only itself (issue 15).

A line of text that was not commented out, or an f-string of a newer Python, would otherwise take along every definition
of its cell.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

__all__ = ["Unparsed", "parse_statements"]

_MOST_JOINED = 50  # lines at the left margin in one statement, as in a long text in triple quotes
_MOST_UNPARSED = 20
_MOST_CHARACTERS = 200_000
# A line at the left margin that begins a statement, rather than continuing one.
_BEGINNING = re.compile(r"(?![\s#)\]}])(?!(else|elif|except|finally)\b).")


class Unparsed(ast.Pass):
    """A statement that is no Python."""

    error: SyntaxError


def parse_statements(source: str, parse: Callable[[str], ast.Module]) -> ast.Module:
    """Return the statements of a cell, with an Unparsed for each part that is no Python.

    Args:
        source: the cell's source, after IPython's transforms.
        parse: Python's parser, for any part of the source.

    Raises:
        SyntaxError: the source is no Python, and too long or too strange to be parsed in parts.
    """
    try:
        return parse(source)
    except SyntaxError as error:
        if len(source) > _MOST_CHARACTERS:
            raise
        return ast.Module(_parse_parts(source, parse, error), [])


def _parse_parts(source: str, parse: Callable[[str], ast.Module], whole: SyntaxError) -> list[ast.stmt]:
    lines = source.splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if _BEGINNING.match(line)] or [0]
    ends = [*starts[1:], len(lines)]
    found: list[ast.stmt] = []
    unparsed = position = 0
    while position < len(starts):
        start, error = starts[position], None
        for taken, end in enumerate(ends[position : position + _MOST_JOINED], 1):
            try:
                # The blank lines keep the numbers of the lines.
                found += parse("\n" * start + "".join(lines[start:end])).body
            except SyntaxError as problem:
                error = error or problem
            else:
                position += taken
                break
        else:
            found.append(_make_unparsed(start + 1, ends[position], error or whole, whole))
            unparsed += 1
            position += 1
            if unparsed > _MOST_UNPARSED:
                raise whole
    return found


def _make_unparsed(line: int, last_line: int, error: SyntaxError, whole: SyntaxError) -> Unparsed:
    """Return the statement of these lines, with what Python says of the whole cell if that is about them."""
    node = Unparsed(lineno=line, end_lineno=last_line, col_offset=0, end_col_offset=0)
    node.error = whole if whole.lineno is not None and line <= whole.lineno <= last_line else error
    node.error.__context__ = node.error.__traceback__ = None  # those of this module
    return node

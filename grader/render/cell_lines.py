"""Find the lines of each cell in a notebook's file, because GitHub and others annotate files by line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping

__all__ = ["locate_lines"]

_DECODER = json.JSONDecoder()
_BLANK = re.compile(r"[ \t\n\r]*")


def locate_lines(data: bytes) -> list[tuple[int, int]]:
    """Return the first and the last line of each cell's source, counted from 1, in the order of the file.

    Args:
        data: the bytes of a valid notebook.
    """
    text = data.decode(json.detect_encoding(data))
    ends = [_locate_source(text, cell) for cell in _locate_cells(text)]
    lines = _count_lines(text, {position for pair in ends for position in pair})
    return [(lines[first], lines[last]) for first, last in ends]


def _locate_cells(text: str) -> Iterator[int]:
    """Yield the position of each cell. Format 3 has them in worksheets."""
    notebook = dict(_locate_values(text, _skip_blanks(text, 0)))
    if "cells" in notebook or "worksheets" not in notebook:
        holders = [notebook]
    else:
        holders = [dict(_locate_values(text, sheet)) for _, sheet in _locate_values(text, notebook["worksheets"])]
    for holder in holders:
        yield from (cell for _, cell in _locate_values(text, holder["cells"]))


def _locate_source(text: str, cell: int) -> tuple[int, int]:
    """Return the positions of a cell's first and last line, the cell's own position if it has no source."""
    entries = dict(_locate_values(text, cell))
    source = entries.get("source", entries.get("input"))
    if source is None:
        return cell, cell
    lines = [position for _, position in _locate_values(text, source)] if text[source] == "[" else []
    return (lines[0], lines[-1]) if lines else (source, source)


def _locate_values(text: str, start: int) -> Iterator[tuple[str, int]]:
    """Yield the name ("" in a list) and the position of each value in the object or list that begins at `start`."""
    is_object = text[start] == "{"
    position = _skip_blanks(text, start + 1)
    while text[position] not in "]}":
        name = ""
        if is_object:
            name, position = _DECODER.raw_decode(text, position)
            position = _skip_blanks(text, _skip_blanks(text, position) + 1)
        yield name, position
        position = _skip_blanks(text, _DECODER.raw_decode(text, position)[1])
        if text[position] == ",":
            position = _skip_blanks(text, position + 1)


def _skip_blanks(text: str, position: int) -> int:
    match = _BLANK.match(text, position)
    return match.end() if match else position


def _count_lines(text: str, positions: Iterable[int]) -> Mapping[int, int]:
    """Return the line number of each position, counted in one pass."""
    lines, line, before = {}, 1, 0
    for position in sorted(positions):
        line += text.count("\n", before, position)
        lines[position], before = line, position
    return lines

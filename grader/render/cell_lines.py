"""Where in a notebook's file each cell's source stands: GitHub and its like annotate files by line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping

__all__ = ["locate_lines"]

_DECODER = json.JSONDecoder()
_BLANK = re.compile(r"[ \t\n\r]*")


def locate_lines(data: bytes) -> list[tuple[int, int]]:
    """Return the first and the last line of each cell's source, cells and lines in the file's own order.

    Args:
        data: the bytes of a notebook that was read without complaint; lines count from 1.
    """
    text = data.decode(json.detect_encoding(data))
    ends = [_source(text, cell) for cell in _cells(text)]
    lines = _lines(text, {position for pair in ends for position in pair})
    return [(lines[first], lines[last]) for first, last in ends]


def _cells(text: str) -> Iterator[int]:
    """Give where each cell begins; format 3 keeps them in worksheets."""
    notebook = dict(_parts(text, _past_blank(text, 0)))
    if "cells" in notebook or "worksheets" not in notebook:
        holders = [notebook]
    else:
        holders = [dict(_parts(text, sheet)) for _, sheet in _parts(text, notebook["worksheets"])]
    for holder in holders:
        yield from (cell for _, cell in _parts(text, holder["cells"]))


def _source(text: str, cell: int) -> tuple[int, int]:
    """Return where a cell's first and last lines begin, the cell's own beginning where it has none."""
    entries = dict(_parts(text, cell))
    source = entries.get("source", entries.get("input"))
    if source is None:
        return cell, cell
    written = [position for _, position in _parts(text, source)] if text[source] == "[" else []
    return (written[0], written[-1]) if written else (source, source)


def _parts(text: str, start: int) -> Iterator[tuple[str, int]]:
    """Give the name, empty in a list, and the place of each value in the object or list that begins at `start`."""
    is_object = text[start] == "{"
    position = _past_blank(text, start + 1)
    while text[position] not in "]}":
        name = ""
        if is_object:
            name, position = _DECODER.raw_decode(text, position)
            position = _past_blank(text, _past_blank(text, position) + 1)
        yield name, position
        position = _past_blank(text, _DECODER.raw_decode(text, position)[1])
        if text[position] == ",":
            position = _past_blank(text, position + 1)


def _past_blank(text: str, position: int) -> int:
    found = _BLANK.match(text, position)
    return found.end() if found else position


def _lines(text: str, positions: Iterable[int]) -> Mapping[int, int]:
    """Return the line that each position is in, counted in one pass."""
    lines, line, before = {}, 1, 0
    for position in sorted(positions):
        line += text.count("\n", before, position)
        lines[position], before = line, position
    return lines

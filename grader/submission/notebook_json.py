"""A notebook file's JSON: bounded before it is parsed, then checked for the few things that make it a notebook."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grader.errors import SubmissionError

__all__ = ["DEFAULT_BOUNDS", "Bounds", "Document", "parse"]

_AGAIN = "download it again, or save it again in Jupyter"
_STRING = re.compile(rb'"[^"]*"?')
_COMMAS_AND_BRACKETS = b"[]{},"
_ALL_ELSE = bytes(set(range(256)) - set(_COMMAS_AND_BRACKETS))
_BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_QUOTES_PER_VALUE = 4  # an object's key and its value
_SUPPORTED_FORMATS = (3, 4)


@dataclass(frozen=True)
class Bounds:
    """How large a notebook file may be."""

    file_bytes: int = 100 * 2**20
    cells: int = 5000
    nesting: int = 100
    values: int = 10_000_000  # a parsed value takes up to a hundred times the bytes it has in the file

    def past_file_size(self, size: int) -> str:
        """Say that a file has too many bytes, and what to do."""
        return (
            f"it has {size / 2**20:.1f} MB, more than the {self.file_bytes / 2**20:.1f} MB that are read; "
            "clear its outputs and save it again"
        )


DEFAULT_BOUNDS = Bounds()


@dataclass(frozen=True)
class Document:
    """The parts of a notebook file that are used: its cells in order, as stored, and its metadata."""

    cells: tuple[Mapping[str, Any], ...]
    metadata: Mapping[str, Any]


def parse(name: str, data: bytes, bounds: Bounds) -> Document:
    """Parse a notebook of format 3 or 4.

    Only what is read later is checked, so schema slips that nbformat would refuse do no harm.

    Raises:
        SubmissionError: the bytes are past their bounds, or are no notebook.
    """
    try:
        return _document(_parsed(data, bounds), bounds)
    except SubmissionError as reason:
        raise SubmissionError(f"{name}: {reason}") from reason.__cause__


def _parsed(data: bytes, bounds: Bounds) -> Any:
    if len(data) > bounds.file_bytes:
        raise SubmissionError(bounds.past_file_size(len(data)))
    text = _decoded(data)
    if not text or text.isspace():
        raise SubmissionError(f"the file is empty; {_AGAIN}")
    _check_structure(text, bounds)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        reason = f"{error.msg[:1].lower()}{error.msg[1:]} at line {error.lineno}, column {error.colno}"
        raise SubmissionError(f"no valid JSON: {reason}; {_AGAIN}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise SubmissionError("its JSON is past what can be read; clear its outputs and save it again") from error


def _decoded(data: bytes) -> str:
    marked = (found for found in _BYTE_ORDER_MARKS.items() if data.startswith(found[0]))
    mark, encoding = next(marked, (b"", "utf-8"))
    try:
        return data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        raise SubmissionError(
            f"no valid text: byte {error.start + len(mark)} is not {encoding.upper()}; {_AGAIN}"
        ) from error


def _check_structure(text: str, bounds: Bounds) -> None:
    """Bound the number and the nesting of the values that parsing would make."""
    # Strings are dropped first. In JSON a backslash stands in strings only, so a pair of them escapes nothing else.
    escaped = text.encode("utf-8").replace(b"\\\\", b"").replace(b'\\"', b"")
    too_many = escaped.count(b'"') > _QUOTES_PER_VALUE * bounds.values
    structure = b"" if too_many else _STRING.sub(b"", escaped).translate(None, _ALL_ELSE)
    if too_many or len(structure) > bounds.values:
        raise SubmissionError(f"it has more than {bounds.values:,} values; clear its outputs and save it again")
    depth = 0
    for byte in structure.translate(None, b","):
        depth += 1 if byte in b"[{" else -1
        if depth > bounds.nesting:
            raise SubmissionError(
                f"its JSON is nested deeper than {bounds.nesting} levels; clear its outputs and save it again"
            )


def _document(parsed: Any, bounds: Bounds) -> Document:
    if not isinstance(parsed, dict):
        raise SubmissionError(
            f"no notebook: its JSON is {_kind(parsed)}, not an object with cells; name an .ipynb file"
        )
    version = parsed.get("nbformat", 4)
    if version not in _SUPPORTED_FORMATS:
        raise SubmissionError(
            f"its notebook format is {repr(version)[:20]}, and only 3 and 4 are read; save it again in Jupyter"
        )
    cells = _stored_cells(parsed)
    if len(cells) > bounds.cells:
        raise SubmissionError(f"it has {len(cells):,} cells, more than the {bounds.cells:,} that are read; split it")
    for index, cell in enumerate(cells):
        if not isinstance(cell, dict):
            raise SubmissionError(
                f"no notebook: cell {index} is {_kind(cell)}, not an object; save it again in Jupyter"
            )
    metadata = parsed.get("metadata")
    cells = [{**cell, "source": _source(index, cell)} for index, cell in enumerate(cells)]
    upgraded = _upgraded(cells) if version == 3 else cells
    return Document(tuple(upgraded), metadata if isinstance(metadata, dict) else {})


def _source(index: int, cell: dict[str, Any]) -> str:
    """Return a cell's text, which format 3 calls "input" in code cells, and which may be stored as a list of lines."""
    source = cell.get("source", cell.get("input")) or ""
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        raise SubmissionError(f"no notebook: the source of cell {index} is not text; save it again in Jupyter")
    return source


def _upgraded(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return format 3's cells as format 4's, by nbformat, which old and careless files must not break.

    Imported only here: few notebooks are that old, and it takes longer than reading one.
    """
    import nbformat

    repaired = []
    for cell in cells:
        kind, level, source = cell.get("cell_type"), cell.get("level"), cell["source"]
        kept = {"cell_type": kind if isinstance(kind, str) else "raw", "metadata": {}, "source": source}
        match kind:
            case "code":
                kept |= {"input": source, "outputs": [], "language": "python", "collapsed": False}
            case "heading":
                # The upgrade writes as many marks as it is told, be it a thousand million.
                kept |= {"level": level if level in range(1, 7) else 1}
        repaired.append(kept)
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": [{"cells": repaired}]}
    upgraded: list[dict[str, Any]] = nbformat.convert(nbformat.from_dict(old), 4)["cells"]
    return upgraded


def _stored_cells(parsed: dict[str, Any]) -> list[Any]:
    """Return the cells of a document, which format 3 keeps in worksheets."""
    if "cells" in parsed or not isinstance(parsed.get("worksheets"), list):
        lists = [parsed.get("cells")]
    else:
        lists = [sheet.get("cells") if isinstance(sheet, dict) else None for sheet in parsed["worksheets"]]
    for cells in lists:
        if not isinstance(cells, list):
            found = "it has no cells" if cells is None else f"its cells are {_kind(cells)}, not a list"
            raise SubmissionError(f"no notebook: {found}; name an .ipynb file that Jupyter or Colab saved")
    return [cell for cells in lists for cell in cells or ()]


def _kind(value: Any) -> str:
    """Name a JSON value's kind for a reader."""
    kinds = {bool: "a truth value", dict: "an object", float: "a number", int: "a number", list: "a list", str: "text"}
    return kinds.get(type(value), "null")

"""The JSON of a notebook file: bounded before it is parsed, then checked for what makes it a notebook."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grader.errors import SubmissionError
from grader.place import describe_cell

__all__ = ["DEFAULT_BOUNDS", "Bounds", "Document", "parse", "read_attachments", "read_cell_names"]

_AGAIN = "download it again, or save it again in Jupyter"
_STRING = re.compile(rb'"[^"]*"?')
_COMMAS_AND_BRACKETS = b"[]{},"
_OTHER_BYTES = bytes(set(range(256)) - set(_COMMAS_AND_BRACKETS))
_BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_NO_MARK = {b"{\0": "utf-16-le", b"\0{": "utf-16-be"}  # how a notebook begins without a byte order mark
_QUOTES_PER_VALUE = 4  # of a key and its value in an object
_SUPPORTED_FORMATS = (3, 4)
_LONGEST_NAME = 200  # characters of a cell's id or tag
_MAX_TAGS = 20
_MAX_ATTACHMENTS = 20  # of a cell
_LARGEST_ATTACHMENT = 1_000_000  # characters of base64
_PICTURES = ("image/png", "image/jpeg", "image/gif")


@dataclass(frozen=True)
class Bounds:
    """How large a notebook file may be."""

    file_bytes: int = 100 * 2**20
    cells: int = 5000
    nesting: int = 100
    values: int = 10_000_000  # parsed, a value takes up to a hundred times its bytes in the file

    def past_file_size(self, size: int) -> str:
        """Return a message that a file is too large, and what to do."""
        return (
            f"it has {size / 2**20:.1f} MB, more than the {self.file_bytes / 2**20:.1f} MB that are read; "
            "clear its outputs and save it again"
        )


DEFAULT_BOUNDS = Bounds()


@dataclass(frozen=True)
class Document:
    """The parts of a notebook file that are used: its cells in order as they are stored, and its metadata."""

    cells: tuple[Mapping[str, Any], ...]
    metadata: Mapping[str, Any]


def parse(name: str, data: bytes, bounds: Bounds) -> Document:
    """Parse a notebook of format 3 or 4.

    Only what is used later is checked, so that other violations of the schema, which nbformat would refuse, do no harm.

    Raises:
        SubmissionError: the bytes exceed the bounds, or are not a notebook.
    """
    try:
        return _read_document(_load(data, bounds), bounds)
    except SubmissionError as reason:
        raise SubmissionError(f"{name}: {reason}") from reason.__cause__


def read_cell_names(cell: Mapping[str, Any]) -> tuple[str, tuple[str, ...], str]:
    """Return a stored cell's id, its tags and nbgrader's name for it, bounded; "" for what it does not have."""
    metadata = cell.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    tags, own = metadata.get("tags"), metadata.get("nbgrader")
    grade_id = own.get("grade_id") if isinstance(own, dict) else ""
    texts = (_read_name(tag) for tag in (tags[:_MAX_TAGS] if isinstance(tags, list) else ()))
    return _read_name(cell.get("id")), tuple(text for text in texts if text), _read_name(grade_id)


def read_attachments(cell: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the pictures attached to a stored cell, each with its name and its base64; large ones are left out."""
    attachments = cell.get("attachments")
    found = []
    for name, bundle in list(attachments.items())[:_MAX_ATTACHMENTS] if isinstance(attachments, dict) else ():
        stored = next((bundle[kind] for kind in _PICTURES if kind in bundle), "") if isinstance(bundle, dict) else ""
        text = "".join(stored) if isinstance(stored, list) and all(isinstance(x, str) for x in stored) else stored
        if isinstance(text, str) and 0 < len(text) <= _LARGEST_ATTACHMENT:
            found.append((_read_name(name), "".join(text.split())))
    return tuple(found)


def _read_name(value: Any) -> str:
    return value[:_LONGEST_NAME].encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _load(data: bytes, bounds: Bounds) -> Any:
    if len(data) > bounds.file_bytes:
        raise SubmissionError(bounds.past_file_size(len(data)))
    text = _decode(data)
    if not text or text.isspace():
        raise SubmissionError(f"the file is empty; {_AGAIN}")
    _check_structure(text, bounds)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        what = error.msg[:1].lower() + error.msg[1:].removesuffix(" starting at")
        reason = f"{what} at line {error.lineno}, column {error.colno}"
        cut = " (the file is cut off)" if text.lstrip()[0] == "{" and text.rstrip()[-1] != "}" else ""
        raise SubmissionError(f"no valid JSON{cut}: {reason}; {_AGAIN}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise SubmissionError("its JSON is past what can be read; clear its outputs and save it again") from error


def _decode(data: bytes) -> str:
    marks = (mark for mark in _BYTE_ORDER_MARKS.items() if data.startswith(mark[0]))
    mark, encoding = next(marks, (b"", _NO_MARK.get(data[:2], "utf-8")))
    try:
        return data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        raise SubmissionError(
            f"no valid text: byte {error.start + len(mark)} is not {encoding.upper()}; {_AGAIN}"
        ) from error


def _check_structure(text: str, bounds: Bounds) -> None:
    """Check the number and the nesting of the values before they are parsed."""
    # Remove strings first. JSON has backslashes in strings only, so a pair of them escapes nothing else.
    escaped = text.encode("utf-8").replace(b"\\\\", b"").replace(b'\\"', b"")
    too_many = escaped.count(b'"') > _QUOTES_PER_VALUE * bounds.values
    structure = b"" if too_many else _STRING.sub(b"", escaped).translate(None, _OTHER_BYTES)
    if too_many or len(structure) > bounds.values:
        raise SubmissionError(f"it has more than {bounds.values:,} values; clear its outputs and save it again")
    depth = 0
    for byte in structure.translate(None, b","):
        depth += 1 if byte in b"[{" else -1
        if depth > bounds.nesting:
            raise SubmissionError(
                f"its JSON is nested deeper than {bounds.nesting} levels; clear its outputs and save it again"
            )


def _read_document(parsed: Any, bounds: Bounds) -> Document:
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
                f"no notebook: {describe_cell(index)} is {_kind(cell)}, not an object; save it again in Jupyter"
            )
    metadata = parsed.get("metadata")
    cells = [{**cell, "source": _read_source(index, cell)} for index, cell in enumerate(cells)]
    upgraded = _upgrade(cells) if version == 3 else cells
    return Document(tuple(upgraded), metadata if isinstance(metadata, dict) else {})


def _read_source(index: int, cell: dict[str, Any]) -> str:
    """Return a cell's text. In code cells of format 3 its key is "input", and it may be stored as a list of lines."""
    source = cell.get("source", cell.get("input")) or ""
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        raise SubmissionError(
            f"no notebook: the source of {describe_cell(index)} is not text; save it again in Jupyter"
        )
    return source


def _upgrade(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return cells of format 3 as cells of format 4; irregular ones are repaired first, so that nbformat takes them."""
    import nbformat  # here, because few notebooks are that old, and the import takes longer than reading one

    repaired = []
    for cell in cells:
        kind, level, source = cell.get("cell_type"), cell.get("level"), cell["source"]
        plain = {"cell_type": kind if isinstance(kind, str) else "raw", "metadata": {}, "source": source}
        match kind:
            case "code":
                plain |= {"input": source, "outputs": [], "language": "python", "collapsed": False}
            case "heading":
                # nbformat writes as many "#" as `level` says, even a thousand million.
                plain |= {"level": level if level in range(1, 7) else 1}
        repaired.append(plain)
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": [{"cells": repaired}]}
    upgraded = nbformat.convert(nbformat.from_dict(old), 4)["cells"]
    # nbformat makes up ids at random.
    return [{key: value for key, value in cell.items() if key != "id"} for cell in upgraded]


def _stored_cells(parsed: dict[str, Any]) -> list[Any]:
    """Return the cells of a document. Format 3 has them in worksheets."""
    if "cells" in parsed or not isinstance(parsed.get("worksheets"), list):
        lists = [parsed.get("cells")]
    else:
        lists = [sheet.get("cells") if isinstance(sheet, dict) else None for sheet in parsed["worksheets"]]
    for cells in lists:
        if not isinstance(cells, list):
            reason = "it has no cells" if cells is None else f"its cells are {_kind(cells)}, not a list"
            raise SubmissionError(f"no notebook: {reason}; name an .ipynb file that Jupyter or Colab saved")
    return [cell for cells in lists for cell in cells or ()]


def _kind(value: Any) -> str:
    """Return the type of a JSON value in words."""
    kinds = {bool: "a truth value", dict: "an object", float: "a number", int: "a number", list: "a list", str: "text"}
    return kinds.get(type(value), "null")

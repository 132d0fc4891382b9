"""Faults of a student's code, from the failures that its process tells of.

Where a fault happened is the process's word. A place is believed if it exists in the submission, whose text comes from
the submission itself and not from the process.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from grader.fault import Fault, StudentFault
from grader.models.error_words import explain_error
from grader.models.failed_layer import FailedLayer, Shape, Spot
from grader.place import Place
from grader.results.evidence import clip
from grader.sandbox.protocol.encoding import Failure
from grader.submission.submission import Notebook

__all__ = ["FaultReader"]

_NAMED_FAULTS = {
    "MemoryRefused": Fault.OUT_OF_MEMORY,
    "Malformed": Fault.MALFORMED,
    "ChangedArgument": Fault.CHANGED_ARGUMENT,
    "Missing": Fault.MISSING,
}
_LONGEST_CODE = 100  # characters of a quoted line
_MOST_DIMENSIONS, _MOST = 8, 2**40
_NAME = re.compile(r"[^\W\d]\w{0,99}(?:\.[^\W\d]\w{0,99}){0,3}")
_KINDS = ("fully connected layer", "convolution", "pooling", "batch normalisation")


class FaultReader:
    """Reads the failures of a process in which the cells of one notebook ran.

    Args:
        notebook: the notebook; None if it is not known.
    """

    def __init__(self, notebook: Notebook | None) -> None:
        self._file = notebook.name if notebook else ""
        self._cells: Mapping[int, str] = {cell.index: cell.source for cell in notebook.cells} if notebook else {}

    def read(self, failure: Failure) -> StudentFault:
        """Return the fault that a failure stands for."""
        message = re.sub(r"0x[0-9a-fA-F]{6,}", "0x…", failure.message[:2000])[:500]
        fault = _NAMED_FAULTS.get(failure.name, Fault.RAISED)
        match fault:
            case Fault.OUT_OF_MEMORY:
                place = self.read_place(failure.details)
                return StudentFault(fault, "asked for more memory than a test may use", place=place)
            case Fault.CHANGED_ARGUMENT:
                return StudentFault(fault, "changes the tensor it is given; work on a copy")
            case Fault.MALFORMED | Fault.MISSING:
                return StudentFault(fault, message)
        raised = failure.name[:100]
        told = f"raises {raised}: {message}" if message else f"raises {raised}"
        place = self.read_place(failure.details)
        words, advice = explain_error(raised, message, self._read_spot(failure.details, place))
        return StudentFault(fault, told, raised, place=place, words=words, advice=advice)

    def read_place(self, details: Any) -> Place | None:
        """Return the place that a process names, if there is such a line in the notebook."""
        if not isinstance(details, Mapping):
            return None
        cell, line, function = details.get("cell"), details.get("line"), details.get("function")
        if type(cell) is not int or type(line) is not int or cell not in self._cells:
            return None
        source = self._cells[cell]
        lines = source.splitlines()
        if not 0 < line <= len(lines):
            return None
        known = isinstance(function, str) and _NAME.fullmatch(function) and function.rpartition(".")[2] in source
        return Place(
            self._file, cell, line, clip(lines[line - 1].strip(), _LONGEST_CODE), str(function) if known else ""
        )

    def _read_spot(self, details: Any, place: Place | None) -> Spot:
        if not isinstance(details, Mapping):
            return Spot()
        line = self._cells[place.cell].splitlines()[place.line - 1] if place and place.line else ""
        near = details.get("near")
        return Spot(
            _cut(line, details.get("columns")),
            _read_layer(details.get("layer")),
            near if isinstance(near, str) and _NAME.fullmatch(near) else "",
            _read_shapes(details.get("shapes"), line),
        )


def _cut(line: str, columns: Any) -> str:
    """Return the part of a line between two columns, counted in bytes; the whole line if there is no such part."""
    match columns:
        case (int(start), int(end)) if 0 <= start < end:
            return line.encode("utf-8", "replace")[start:end].decode("utf-8", "replace") or line
    return line


def _read_shapes(shapes: Any, line: str) -> dict[str, Shape]:
    """Return the shapes of those tensors that a line names."""
    if not isinstance(shapes, Mapping):
        return {}
    named = list(dict.fromkeys(re.findall(r"(?<![\w.])[^\W\d]\w*", line)))
    return {name: shape for name in named if (shape := _read_shape(shapes.get(name)))}


def _read_shape(shape: Any) -> Shape:
    is_shape = isinstance(shape, tuple) and 0 < len(shape) <= _MOST_DIMENSIONS
    return shape if is_shape and all(type(n) is int and 0 <= n < _MOST for n in shape) else ()


def _read_layer(layer: Any) -> FailedLayer | None:
    match layer:
        case {"kind": str(kind), "number": int(number), "count": int(count), "name": str(name), "takes": takes}:
            is_known = kind in _KINDS and 0 < number <= count < 10_000 and (not name or _NAME.fullmatch(name))
            if is_known and (takes is None or (type(takes) is int and 0 <= takes < _MOST)):
                shapes = _read_shape(layer.get("input")), _read_shape(layer.get("before"))
                return FailedLayer(kind, number, count, name, takes, *shapes)
    return None

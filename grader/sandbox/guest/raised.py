"""What is told of an exception of the student's code besides its name and text: where, and in which circumstances."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from grader.models.raised import find_layer, find_near_name, list_frames, list_shapes
from grader.sandbox.guest.own_modules import lies_among_packages

__all__ = ["describe_spot"]

_MOST_TEXT = 100
_Locate = Callable[[CodeType, int], "tuple[int, int] | None"]


def describe_spot(error: BaseException, locate: _Locate) -> dict[str, Any]:
    """Return where an exception was raised, as plain data that the trusted side takes as a claim.

    Args:
        error: an exception that has been caught.
        locate: returns the cell and the line of a line of code, or None if it is in no cell.
    """
    spot: dict[str, Any] = {}
    with suppress(Exception):  # whatever a student's object does when it is looked at
        spot.update(near=find_near_name(error)[:_MOST_TEXT], layer=find_layer(error))
        for frame, line in reversed(list_frames(error)):
            if place := _describe_frame(frame, line, locate):
                columns = _find_columns(error, frame)
                return {**spot, **place, "shapes": list_shapes(frame), "columns": columns}
    return spot


def _describe_frame(frame: FrameType, line: int, locate: _Locate) -> dict[str, Any] | None:
    """Return the place of a frame of the student's own, None for any other."""
    code = frame.f_code
    if code.co_name == "<module>":  # of the cell that makes the tests' calls
        return None
    function = _name_function(code)
    if found := locate(code, line):
        return {"cell": found[0], "line": found[1], "function": function}
    if code.co_filename.startswith("<") or lies_among_packages(code.co_filename):
        return None
    return {"file": Path(code.co_filename).name[:_MOST_TEXT], "line": line, "function": function}


def _name_function(code: CodeType) -> str:
    """Return the name of the function that the code is, or stands in."""
    parts = [part for part in code.co_qualname.split(".<locals>.") if not part.startswith("<")]
    return ".".join(parts)[:_MOST_TEXT]


def _find_columns(error: BaseException, frame: FrameType) -> tuple[int, int] | None:
    """Return the columns of the expression that was running in a frame, in bytes, if it stands on one line."""
    entry = error.__traceback__
    while entry is not None and entry.tb_frame is not frame:
        entry = entry.tb_next
    if entry is None or entry.tb_lasti < 0:
        return None
    first, last, start, end = next(islice(frame.f_code.co_positions(), entry.tb_lasti // 2, None), (None,) * 4)
    return (start, end) if first == last and start is not None and end is not None else None

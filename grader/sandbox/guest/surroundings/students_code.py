"""Telling a student's code from that of packages: whose statement imports or asks, and does it handle the failure."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from functools import lru_cache
from types import FrameType
from typing import Any

from grader.sandbox.guest.own_modules import lies_among_packages

__all__ = ["is_handled", "is_students", "walk_students_frames"]

_CATCH_ALL = frozenset({"Exception", "BaseException"})


def is_students(frame: FrameType) -> bool:
    """Return whether a frame runs a cell, or a module that is no installed package."""
    file = frame.f_code.co_filename
    if file.startswith("<"):  # compiled from text, by the student or by a package
        return frame.f_globals.get("__name__") == "__main__"
    return not lies_among_packages(file)


def walk_students_frames(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield the frames of the student's code in which something is called, the innermost first."""
    while frame is not None:
        if is_students(frame):
            yield frame
        frame = frame.f_back


def is_handled(frame: FrameType | None, *errors: type[BaseException]) -> bool:
    """Return whether the student's code handles one of these errors if it is raised in `frame`.

    Looks for `try` with a fitting `except`, and for `suppress`, around what each of the student's frames is executing.
    """
    names = _CATCH_ALL | {kind.__name__ for error in errors for kind in error.__mro__ if kind is not object}
    return any(_is_line_handled(frame, names) for frame in walk_students_frames(frame))


def _is_line_handled(frame: FrameType, names: frozenset[str]) -> bool:
    tree = _parse(frame.f_code.co_filename, tuple(linecache.getlines(frame.f_code.co_filename, frame.f_globals)))
    line = frame.f_lineno or 0
    return any(
        _first_line(node.body) <= line <= _last_line(node.body) and _catches(node, names)
        for node in ast.walk(tree)
        if isinstance(node, ast.Try | ast.With)
    )


@lru_cache(maxsize=32)
def _parse(_file: str, lines: tuple[str, ...]) -> ast.AST:
    try:
        return ast.parse("".join(lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


def _first_line(body: list[ast.stmt]) -> int:
    return body[0].lineno


def _last_line(body: list[ast.stmt]) -> int:
    return body[-1].end_lineno or body[-1].lineno


def _catches(node: ast.Try | ast.With, names: frozenset[str]) -> bool:
    if isinstance(node, ast.With):
        calls = [item.context_expr for item in node.items if isinstance(item.context_expr, ast.Call)]
        return any(
            _last_name(call.func) == "suppress" and any(_last_name(kind) in names for kind in call.args)
            for call in calls
        )
    return any(
        handler.type is None or any(_last_name(kind) in names for kind in _split(handler.type))
        for handler in node.handlers
    )


def _split(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else [node]


def _last_name(node: Any) -> str:
    """Return the last part of a dotted name, or "" for any other expression."""
    return str(getattr(node, "attr", getattr(node, "id", "")))

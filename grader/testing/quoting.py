"""The part of a test that went wrong, in the words of the test."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable
from functools import lru_cache
from types import TracebackType
from typing import Any

__all__ = ["clip_text", "find_statement", "quote_failure"]

_LENGTH = 300


def quote_failure(error: BaseException, test: Callable[..., Any]) -> str:
    """Return what stands where an exception left a test's file: what is asserted, or the statement."""
    file = test.__code__.co_filename
    line = 0
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    found = find_statement(file, line)
    if found is None:
        return "the test"
    return clip_text(ast.unparse(found.test if isinstance(found, ast.Assert) else found))


def find_statement(file: str, line: int) -> ast.stmt | None:
    """Return the innermost statement of a file that a line is part of."""
    linecache.checkcache(file)
    found = [
        node
        for node in ast.walk(_parsed("".join(linecache.getlines(file))))
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return min(found, key=lambda node: (node.end_lineno or 0) - node.lineno, default=None)


@lru_cache(maxsize=64)
def _parsed(source: str) -> ast.Module:
    return ast.parse(source)


def clip_text(text: str) -> str:
    """Return a text that fits a message."""
    return text if len(text) <= _LENGTH else text[: _LENGTH - 1] + "…"

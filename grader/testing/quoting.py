"""The statement of a test that failed, quoted in a message."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable
from functools import lru_cache
from types import TracebackType
from typing import Any

from grader.results.evidence import clip

__all__ = ["QUOTED", "find_statement", "quote_failure"]

QUOTED = 300  # characters of a test or of a session's output in one message


def quote_failure(error: BaseException, test: Callable[..., Any]) -> str:
    """Return the statement at which an exception left a test's file. Of an assertion, return its condition."""
    file = test.__code__.co_filename
    line = 0
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    statement = find_statement(file, line)
    if statement is None:
        return "the test"
    return clip(ast.unparse(statement.test if isinstance(statement, ast.Assert) else statement), QUOTED)


def find_statement(file: str, line: int) -> ast.stmt | None:
    """Return the innermost statement of a file that spans a line."""
    linecache.checkcache(file)
    statements = [
        node
        for node in ast.walk(_parse("".join(linecache.getlines(file))))
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return min(statements, key=lambda node: (node.end_lineno or 0) - node.lineno, default=None)


@lru_cache(maxsize=64)
def _parse(source: str) -> ast.Module:
    return ast.parse(source)

"""Call students' functions from a cell, as a notebook does, so that they find on the stack what they find there.

The calls are made by a piece of code that IPython runs in the place of a cell's statement. All that decides which call
is next has returned by the time the call is made, so between IPython's frames and the student's stands only the cell.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from types import CodeType
from typing import Any, Protocol

__all__ = ["Calls", "compile_calls"]

# The text stands for the object itself: a name would have to be bound among the notebook's own.
_SOURCE = """
while "calls".wait():
    try:
        "calls".result = "calls".function(*"calls".args, **"calls".kwargs)
    except:
        "calls".note_exception()
"""


class Calls(Protocol):
    """The calls to make, one after the other.

    Attributes:
        function, args, kwargs: the next call, once `wait` has returned True.
        result: the result of the last call.
    """

    function: Callable[..., Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    result: Any

    def wait(self) -> bool:
        """Wait for the next call. Return False if there is none."""

    def note_exception(self) -> None:
        """Note that the last call raised the exception that is being handled."""


def compile_calls(calls: Calls, cell: str) -> CodeType:
    """Return code that makes the calls from the first line of a cell.

    Args:
        calls: the calls.
        cell: the name of the cell's file.
    """
    tree = ast.parse(_SOURCE)
    for node in ast.walk(tree):
        if isinstance(node, ast.expr | ast.stmt | ast.excepthandler):
            node.lineno = node.end_lineno = 1
            node.col_offset = node.end_col_offset = 0
    code = compile(tree, cell, "exec")
    return code.replace(co_consts=tuple(calls if constant == "calls" else constant for constant in code.co_consts))

"""Say for a student how a place of their text departs from a right one."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

from grader.judging.text_differences import TextDifference

__all__ = ["describe_difference"]

_SHORT = 60  # characters up to which what stands around a difference is shown with it
_LONGEST = 110  # characters of a fragment

Quote = Callable[[ast.AST], str]


def describe_difference(difference: TextDifference, quote: Quote, *, show: bool) -> str:
    """Return how a place of a student's text departs from a right one, in words that follow the number of its line.

    Args:
        difference: the place.
        quote: returns the student's text of a node.
        show: whether the solution's text may be shown.
    """
    ours, right = _widen(difference)
    if difference.kind in ("extra", "missing") and difference.parents and len(ast.unparse(right)) <= _LONGEST:
        return _replace(_code(quote(ours)), _code(_write_alike(right, quote(ours))), show)
    text = _code(quote(difference.ours))
    if difference.kind == "replaced":
        return _replace(_code(quote(ours)), _code(_write_alike(right, quote(ours))), show)
    if difference.kind == "extra":
        return f"{text} stands here, and not in a right solution"
    if difference.kind == "missing":
        missing = _code(ast.unparse(difference.right))
        return f"{missing} is missing here" if show else "something that a right solution has is missing here"
    if difference.kind == "swapped":
        return f"{text} and {_code(quote(difference.right))} stand the other way round in a right solution"
    return f"{text} {_describe_move(difference.deeper)}"


def _describe_move(deeper: int) -> str:
    if deeper > 0:
        return "is indented too far: in a right solution it stands outside of that block"
    if deeper < 0:
        return "is not indented far enough: in a right solution it stands inside the block before it"
    return "stands at another place in a right solution"


def _replace(ours: str, right: str, show: bool) -> str:
    if show:
        return f"{ours} stands where a right solution has {right}"
    return f"{ours} departs from a right solution"


def _widen(difference: TextDifference) -> tuple[ast.AST, ast.AST]:
    """Return a difference with what stands around it, as long as that is short: a number alone says nothing."""
    ours, right = difference.ours, difference.right
    pairs = list(difference.parents)
    if difference.kind in ("extra", "missing") and pairs:
        ours, right = pairs.pop(0)
    for around, right_around in pairs:
        if max(len(ast.unparse(around)), len(ast.unparse(right_around))) > _SHORT:
            break
        ours, right = around, right_around
    return ours, right


def _write_alike(right: ast.AST, ours: str) -> str:
    """Return the right text of a call, with as many arguments by position as the student's has."""
    if not isinstance(right, ast.Call) or right.args or not right.keywords:
        return ast.unparse(right)
    try:
        written = ast.parse(ours.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return ast.unparse(right)
    number = len(written.args) if isinstance(written, ast.Call) else 0
    positional = [keyword.value for keyword in right.keywords[:number]]
    return ast.unparse(ast.Call(right.func, positional, right.keywords[number:]))


def _code(text: str) -> str:
    if re.match(r"(if|for|while|with|def)\b", text):
        text = text.partition(":")[0]
    line = " ".join(text.split())
    return f"`{line if len(line) <= _LONGEST else line[: _LONGEST - 3] + '...'}`"

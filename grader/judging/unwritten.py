"""Say of a function that is not written yet, or returns nothing, what its body shows.

Students hand in stubs, and forget to return what they computed. Both are read from the source of the submission, once
a call has returned None or raised NotImplementedError.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from grader.judging.cell_sources import hide_magics
from grader.judging.outcome import TestOutcome
from grader.judging.responses import Response
from grader.place import Place

__all__ = ["NOT_WRITTEN", "describe_body", "explain_unwritten"]

NOT_WRITTEN = "is not written yet"

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Scope = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_RAISED = "raises NotImplementedError"
_LONGEST_CODE = 80  # characters


def explain_unwritten(
    outcome: TestOutcome,
    responses: Sequence[Response],
    name: str,
    place: Place | None,
    read_cell: Callable[[Place], str],
) -> TestOutcome | None:
    """Return the outcome of a function that is not written, or returns nothing; None if nothing shows that.

    Args:
        outcome: the outcome of the failed test.
        responses: the responses of the student's code to it.
        name: the name of the function or class that the item asks for.
        place: where its definition stands.
        read_cell: returns the source of the cell of a place.
    """
    raised = _RAISED in outcome.message and outcome.place is not None
    where = outcome.place if raised else place
    if where is None or where.line is None or not (raised or (responses and responses[-1].value is None)):
        return None
    statements = _parse(read_cell(where))
    if raised:
        found = _find_around(statements, where.line)
    else:
        method = "forward" if responses[-1].subject.startswith("the result of") else ""
        found = _find_named(statements, name if place and place.line else "", where.line, method)
    if found is None:
        return None
    called, function = found
    said = describe_body(function)
    if not said:
        return None
    at = Place(where.file, where.cell, function.lineno, function=called)
    return replace(outcome, message=f"{called} {said}", evidence={}, place=at)


def describe_body(function: _Function) -> str:
    """Return the rest of a sentence on a function that may return nothing, "" if its body does not show why."""
    body = [statement for statement in function.body if not _does_nothing(statement)]
    if not body:
        return f"{NOT_WRITTEN}: its body is {_name_stub(function.body)}"
    last = body[-1]
    if _raises_not_implemented(last):
        if len(body) == 1:
            return f"{NOT_WRITTEN}: it raises NotImplementedError"
        return f"is not finished: line {last.lineno} raises NotImplementedError"
    own = list(_walk_own(function))
    if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in own):
        return ""
    every = [node for node in own if isinstance(node, ast.Return)]
    returns = [node for node in every if not (node.value is None or _is_none(node.value))]
    if not returns and len(body) == 1 and every:
        return f"{NOT_WRITTEN}: its body is only `{ast.unparse(every[0])}`"
    if not returns:
        return _describe_missing_return(last, every)
    if any(node in function.body for node in returns):
        return ""  # the end is reached and returns something: a value that is None
    return _describe_branches(function, returns)


def _describe_missing_return(last: ast.stmt, empty: Sequence[ast.Return]) -> str:
    if empty:
        return f"returns nothing: `{ast.unparse(empty[-1])}` in line {empty[-1].lineno} returns no value"
    text = ast.unparse(last)
    if isinstance(last, ast.Expr) and len(text) <= _LONGEST_CODE:
        is_print = isinstance(last.value, ast.Call) and ast.unparse(last.value.func) in ("print", "display")
        does = "shows a value and does not return it" if is_print else "computes a value and does not return it"
        return f"has no return statement: its last line, `{text}`, {does}"
    return "has no return statement: add one that returns the result"


def _describe_branches(function: _Function, returns: Sequence[ast.Return]) -> str:
    lines = [node.lineno for node in returns]
    which = f"line {lines[0]}" if len(lines) == 1 else f"lines {', '.join(map(str, lines[:-1]))} and {lines[-1]}"
    around = next(node for node in function.body if any(inner is returns[0] for inner in ast.walk(node)))
    kind = {ast.If: "if", ast.For: "for loop", ast.While: "while loop", ast.Try: "try", ast.With: "with"}
    name = kind.get(type(around), "block")
    stand = "stands" if len(lines) == 1 else "stand"
    statement = "its return statement" if len(lines) == 1 else "its return statements"
    return (
        f"returns nothing in some cases: {statement} ({which}) {stand} inside the {name} of line {around.lineno}, "
        "and the function may end without it"
    )


def _does_nothing(statement: ast.stmt) -> bool:
    """Return whether a statement is `pass`, `...`, a docstring or another text."""
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and (statement.value.value is ... or isinstance(statement.value.value, str))
    )


def _name_stub(body: Sequence[ast.stmt]) -> str:
    rest = [statement for statement in body if not (isinstance(statement, ast.Expr) and _is_text(statement.value))]
    if not rest:
        return "only a docstring"
    return "only `pass`" if isinstance(rest[-1], ast.Pass) else "only `...`"


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_none(node: ast.expr) -> bool:
    empty = isinstance(node, ast.Constant) and node.value in (None, ...)
    return empty or (isinstance(node, ast.Name) and node.id in ("NotImplemented", "NotImplementedError"))


def _raises_not_implemented(statement: ast.stmt) -> bool:
    if not isinstance(statement, ast.Raise) or statement.exc is None:
        return False
    error = statement.exc.func if isinstance(statement.exc, ast.Call) else statement.exc
    return isinstance(error, ast.Name) and error.id == "NotImplementedError"


def _walk_own(function: _Function) -> Iterator[ast.AST]:
    """Yield the nodes of a function without those of functions and classes inside it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop(0)
        yield node
        if not isinstance(node, _Scope):
            waiting += ast.iter_child_nodes(node)


def _parse(source: str) -> list[ast.stmt]:
    try:
        return ast.parse("\n".join(hide_magics(source.split("\n")))).body
    except (SyntaxError, MemoryError, RecursionError, ValueError):
        return []


def _list_functions(statements: Sequence[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.stmt]]:
    """Yield the functions and classes in statements with their names, as in "Conv2D.forward"."""
    for statement in statements:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{prefix}{statement.name}"
            yield name, statement
            yield from _list_functions(statement.body, f"{name}.")
        elif isinstance(statement, ast.If | ast.For | ast.While | ast.With | ast.Try):
            yield from _list_functions(statement.body, prefix)


def _find_around(statements: Sequence[ast.stmt], line: int) -> tuple[str, _Function] | None:
    """Return the innermost function around a line."""
    around = [
        (name, node)
        for name, node in _list_functions(statements)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.lineno <= line <= (node.end_lineno or line)
    ]
    return around[-1] if around else None


def _find_named(statements: Sequence[ast.stmt], name: str, line: int, method: str) -> tuple[str, _Function] | None:
    """Return the function at a line, or a method of the class there."""
    wanted = f"{name}.{method}" if method else name
    for called, node in _list_functions(statements):
        is_there = node.lineno == line or (method and called == wanted)
        if is_there and called == wanted and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return called, node
    return None

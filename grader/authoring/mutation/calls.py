"""Operators that change a call or a signature: arguments, keywords, ranges, layers, parameters and defaults."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from grader.authoring.mutation.operators import Operator, Scope

__all__ = ["CALL_OPERATORS"]


def _argument_dropped(node: ast.AST, scope: Scope) -> Iterator[ast.AST]:
    if isinstance(node, ast.Call):
        for index in range(len(node.args)):
            yield ast.Call(node.func, [*node.args[:index], *node.args[index + 1 :]], node.keywords)


def _arguments_swapped(node: ast.AST, scope: Scope) -> Iterator[ast.AST]:
    if isinstance(node, ast.Call):
        for index in range(len(node.args) - 1):
            arguments = list(node.args)
            arguments[index : index + 2] = reversed(arguments[index : index + 2])
            yield ast.Call(node.func, arguments, node.keywords)


def _argument_repeated(node: ast.AST, scope: Scope) -> Iterator[ast.AST]:
    """Repeat a call among the arguments, such as a layer of nn.Sequential."""
    if isinstance(node, ast.Call) and len(node.args) > 2:
        for index, argument in enumerate(node.args):
            if isinstance(argument, ast.Call):
                yield ast.Call(node.func, [*node.args[: index + 1], *node.args[index:]], node.keywords)


def _keyword(node: ast.AST, scope: Scope) -> Iterator[ast.AST]:
    """Drop a keyword, or exchange the values of two."""
    if not isinstance(node, ast.Call):
        return
    for index, keyword in enumerate(node.keywords):
        yield ast.Call(node.func, node.args, [*node.keywords[:index], *node.keywords[index + 1 :]])
        for other in range(index + 1, len(node.keywords)):
            keywords = list(node.keywords)
            keywords[index] = ast.keyword(keyword.arg, node.keywords[other].value)
            keywords[other] = ast.keyword(node.keywords[other].arg, keyword.value)
            yield ast.Call(node.func, node.args, keywords)


def _unwrapped(node: ast.AST, scope: Scope) -> Iterator[ast.AST]:
    """Leave a call out: `f(x)` becomes `x`, and `x.f()` too."""
    if not isinstance(node, ast.Call) or _is_super(node):
        return
    if node.args and not isinstance(node.args[0], ast.Starred):
        yield node.args[0]
    if isinstance(node.func, ast.Attribute) and not _is_package(node.func.value):
        yield node.func.value


def _is_super(node: ast.Call) -> bool:
    return "super" in ast.unparse(node.func)


def _is_package(node: ast.expr) -> bool:
    return ast.unparse(node).partition(".")[0] in ("torch", "nn", "F", "np", "numpy", "d2l")


def _range(node: ast.AST, scope: Scope) -> Iterator[ast.AST]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range" and node.args:
        start, stop = (None, node.args[0]) if len(node.args) == 1 else (node.args[0], node.args[1])
        step = node.args[2:]
        first = start or ast.Constant(0)
        for operator in (ast.Add(), ast.Sub()):
            yield ast.Call(node.func, [first, ast.BinOp(stop, operator, ast.Constant(1)), *step], [])
        yield ast.Call(node.func, [ast.BinOp(first, ast.Add(), ast.Constant(1)), stop, *step], [])
        yield ast.Call(node.func, [first, stop, ast.Constant(2)], [])


def _parameters(node: ast.AST, scope: Scope) -> Iterator[ast.AST]:
    """Swap neighbours among the parameters, or drop the last default."""
    if not isinstance(node, ast.arguments):
        return
    first = 1 if node.args and node.args[0].arg == "self" else 0
    for index in range(first, len(node.args) - 1):
        names = [argument.arg for argument in node.args]
        names[index : index + 2] = reversed(names[index : index + 2])
        yield _with(node, args=[ast.arg(name) for name in names])
    if node.defaults:
        yield _with(node, defaults=node.defaults[1:])


def _with(node: ast.arguments, **fields: list[ast.arg] | list[ast.expr]) -> ast.arguments:
    return ast.arguments(**{**dict(ast.iter_fields(node)), **fields})


CALL_OPERATORS: dict[str, Operator] = {
    "argument dropped": _argument_dropped,
    "arguments swapped": _arguments_swapped,
    "argument repeated": _argument_repeated,
    "keyword": _keyword,
    "call unwrapped": _unwrapped,
    "range": _range,
    "parameters": _parameters,
}

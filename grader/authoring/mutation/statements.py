"""Operators that change statements: dropped, swapped, moved into or out of a block, branches and returned values."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator

from grader.authoring.mutation.operators import Operator, Scope

__all__ = ["STATEMENT_OPERATORS"]

_BLOCKS = (ast.For, ast.While, ast.If, ast.With)


def _list_blocks(node: ast.AST) -> Iterator[tuple[str, list[ast.stmt]]]:
    for field in ("body", "orelse"):
        statements = getattr(node, field, None)
        if isinstance(statements, list) and not isinstance(node, ast.Lambda):
            yield field, statements


def _with(node: ast.AST, field: str, statements: list[ast.stmt]) -> ast.AST:
    changed = copy.copy(node)
    filled = statements or ([ast.Pass()] if field == "body" else [])
    setattr(changed, field, filled)
    return changed


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _is_output(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and ast.unparse(statement).startswith("print(")


def _is_fixed(statement: ast.stmt) -> bool:
    """Tell whether a statement is left where it is: a docstring, an output, an import, or a definition."""
    kinds = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef | ast.Assert | ast.Raise | ast.Pass
    return isinstance(statement, kinds) or _is_docstring(statement) or _is_output(statement)


def _dropped(node: ast.AST, scope: Scope) -> Iterator[ast.AST]:
    for field, statements in _list_blocks(node):
        for index, statement in enumerate(statements):
            if not _is_fixed(statement):
                yield _with(node, field, [*statements[:index], *statements[index + 1 :]])


def _swapped(node: ast.AST, scope: Scope) -> Iterator[ast.AST]:
    for field, statements in _list_blocks(node):
        for index in range(len(statements) - 1):
            if not _is_fixed(statements[index]) and not _is_fixed(statements[index + 1]):
                swapped = list(statements)
                swapped[index : index + 2] = reversed(swapped[index : index + 2])
                yield _with(node, field, swapped)


def _dedented(node: ast.AST, scope: Scope) -> Iterator[ast.AST]:
    """Move the last statement of a block behind the block."""
    for field, statements in _list_blocks(node):
        for index, block in enumerate(statements):
            if isinstance(block, _BLOCKS) and len(block.body) > 1 and not getattr(block, "orelse", None):
                shorter = _with(block, "body", block.body[:-1])
                moved = [*statements[:index], shorter, block.body[-1], *statements[index + 1 :]]
                yield _with(node, field, moved)  # type: ignore[arg-type]  # a block stays a statement


def _indented(node: ast.AST, scope: Scope) -> Iterator[ast.AST]:
    """Move the statement behind a block into it, such as a return into its loop."""
    for field, statements in _list_blocks(node):
        for index in range(len(statements) - 1):
            block, following = statements[index], statements[index + 1]
            if isinstance(block, _BLOCKS) and not _is_fixed(following):
                for longer in _append(block, following):
                    yield _with(node, field, [*statements[:index], longer, *statements[index + 2 :]])


def _append(block: ast.stmt, following: ast.stmt) -> Iterator[ast.stmt]:
    """Yield a block with a statement at its end, and one with it at the end of the block at its end."""
    body: list[ast.stmt] = block.body  # type: ignore[attr-defined]  # one of _BLOCKS
    yield _with(block, "body", [*body, following])  # type: ignore[misc]  # a block stays a statement
    if isinstance(body[-1], _BLOCKS):
        for longer in _append(body[-1], following):
            yield _with(block, "body", [*body[:-1], longer])  # type: ignore[misc]


def _moved_to_the_end(node: ast.AST, scope: Scope) -> Iterator[ast.AST]:
    """Move the first statement of a function to its end, such as super().__init__()."""
    if isinstance(node, ast.FunctionDef):
        statements = [statement for statement in node.body if not _is_docstring(statement)]
        if len(statements) > 2 and not isinstance(statements[-1], ast.Return):
            documented = node.body[: len(node.body) - len(statements)]
            yield _with(node, "body", [*documented, *statements[1:], statements[0]])


def _value_not_returned(node: ast.AST, scope: Scope) -> Iterator[ast.AST]:
    if isinstance(node, ast.Return) and node.value is not None:
        yield ast.Expr(node.value)


def _branch(node: ast.AST, scope: Scope) -> Iterator[ast.AST]:
    if isinstance(node, ast.If):
        yield ast.If(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
        yield ast.If(ast.Constant(True), node.body, node.orelse)
        if node.orelse:
            yield ast.If(node.test, node.body, [])
            yield ast.If(node.test, node.orelse, node.body)


STATEMENT_OPERATORS: dict[str, Operator] = {
    "statement dropped": _dropped,
    "statements swapped": _swapped,
    "statement dedented": _dedented,
    "statement indented": _indented,
    "statement moved to the end": _moved_to_the_end,
    "value not returned": _value_not_returned,
    "branch": _branch,
}

"""Find the names that a piece of code needs from outside."""

from __future__ import annotations

import ast
import symtable
from collections.abc import Collection, Iterator, Sequence

__all__ = ["find_free_names", "wrap_in_function"]


def wrap_in_function(statements: Sequence[ast.stmt], parameters: Sequence[str] = ()) -> str:
    """Return the source of a function with these statements as its body."""
    body = "\n".join(ast.unparse(ast.fix_missing_locations(statement)) for statement in statements) or "pass"
    function = ast.parse(f"def test({', '.join(parameters)}):\n    pass")
    definition = function.body[0]
    assert isinstance(definition, ast.FunctionDef)
    definition.body = ast.parse(body).body
    return ast.unparse(function)


def find_free_names(statements: Sequence[ast.stmt], outside: Collection[str]) -> list[str]:
    """Return the names that statements would take from outside as the body of a function, in order.

    Args:
        statements: the code.
        outside: names that exist outside. One of these is also needed if the code reads it before it binds it.

    Raises:
        SyntaxError: the statements cannot stand inside a function.
    """
    table = symtable.symtable(wrap_in_function(statements), "test", "exec").get_children()[0]
    read_first = set(_list_read_first(statements)) & set(outside)
    needed = set(_list_globals(table)) | read_first
    ordered = [node.id for statement in statements for node in ast.walk(statement) if isinstance(node, ast.Name)]
    return [name for name in dict.fromkeys(ordered) if name in needed]


def _list_globals(table: symtable.SymbolTable) -> Iterator[str]:
    for symbol in table.get_symbols():
        if symbol.is_global() and (symbol.is_referenced() or symbol.is_assigned()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _list_globals(child)


def _list_read_first(statements: Sequence[ast.stmt]) -> Iterator[str]:
    """Yield the names that are read before they are bound."""
    bound: set[str] = set()
    for statement in statements:
        for node in _walk_in_order(statement):
            if isinstance(node.ctx, ast.Load):
                if node.id not in bound:
                    yield node.id
            else:
                bound.add(node.id)


def _walk_in_order(node: ast.AST) -> Iterator[ast.Name]:
    """Yield the names of a statement in the order in which they are evaluated."""
    match node:
        case ast.Name():
            yield node
        case ast.AugAssign(target=ast.Name() as target):
            yield ast.Name(target.id, ast.Load())
            yield from _walk_in_order(node.value)
            yield target
        case ast.Assign() | ast.AnnAssign() | ast.NamedExpr() if node.value is not None:
            yield from _walk_in_order(node.value)
            targets: list[ast.expr] = node.targets if isinstance(node, ast.Assign) else [node.target]
            for assigned in targets:
                yield from _walk_in_order(assigned)
        case ast.For():
            for part in (node.iter, node.target, *node.body, *node.orelse):
                yield from _walk_in_order(part)
        case ast.FunctionDef() | ast.ClassDef() | ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp():
            return
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _walk_in_order(child)

"""Which names a piece of code needs from outside."""

from __future__ import annotations

import ast
import symtable
from collections.abc import Collection, Iterator, Sequence

__all__ = ["find_free_names", "wrap_in_function"]


def wrap_in_function(statements: Sequence[ast.stmt], parameters: Sequence[str] = ()) -> str:
    """Return statements as the source of a function."""
    body = "\n".join(ast.unparse(ast.fix_missing_locations(each)) for each in statements) or "pass"
    indented = ast.unparse(ast.parse(f"def test({', '.join(parameters)}):\n    pass"))
    function = ast.parse(indented)
    definition = function.body[0]
    assert isinstance(definition, ast.FunctionDef)
    definition.body = ast.parse(body).body
    return ast.unparse(function)


def find_free_names(statements: Sequence[ast.stmt], outside: Collection[str]) -> list[str]:
    """Return the names that statements take from outside, as they would inside a function, in order.

    Args:
        statements: the code.
        outside: names that exist there: one of these is needed too where the code reads it before it binds it.

    Raises:
        SyntaxError: it cannot stand inside a function.
    """
    table = symtable.symtable(wrap_in_function(statements), "test", "exec").get_children()[0]
    read_first = set(_read_first(statements)) & set(outside)
    needed = set(_globals(table)) | read_first
    ordered = [node.id for each in statements for node in ast.walk(each) if isinstance(node, ast.Name)]
    return [name for name in dict.fromkeys(ordered) if name in needed]


def _globals(table: symtable.SymbolTable) -> Iterator[str]:
    for symbol in table.get_symbols():
        if symbol.is_global() and (symbol.is_referenced() or symbol.is_assigned()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _globals(child)


def _read_first(statements: Sequence[ast.stmt]) -> Iterator[str]:
    """Give the names that are read before they are bound."""
    bound: set[str] = set()
    for statement in statements:
        for node in _in_order(statement):
            if isinstance(node.ctx, ast.Load):
                if node.id not in bound:
                    yield node.id
            else:
                bound.add(node.id)


def _in_order(node: ast.AST) -> Iterator[ast.Name]:
    """Give the names of a statement as they come when it runs."""
    match node:
        case ast.Name():
            yield node
        case ast.AugAssign(target=ast.Name() as target):
            yield ast.Name(target.id, ast.Load())
            yield from _in_order(node.value)
            yield target
        case ast.Assign() | ast.AnnAssign() | ast.NamedExpr() if node.value is not None:
            yield from _in_order(node.value)
            targets: list[ast.expr] = node.targets if isinstance(node, ast.Assign) else [node.target]
            for each in targets:
                yield from _in_order(each)
        case ast.For():
            for part in (node.iter, node.target, *node.body, *node.orelse):
                yield from _in_order(part)
        case ast.FunctionDef() | ast.ClassDef() | ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp():
            return
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _in_order(child)

"""What a mutation operator is, and how one is applied: a node of a syntax tree is replaced by others, one at a time."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Operator", "Path", "Scope", "change", "list_sites"]

Step = tuple[str, int | None]
Path = tuple[Step, ...]


@dataclass(frozen=True)
class Scope:
    """What may stand at a place.

    Attributes:
        names: the parameters and local names of the innermost function.
        definitions: the other functions and classes of the assignment.
        attributes: the attributes of self in the class around it.
        texts: the strings of the whole definition.
    """

    names: tuple[str, ...] = ()
    definitions: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()


Operator = Callable[[ast.AST, Scope], Iterator[ast.AST]]


def list_sites(tree: ast.Module, definitions: Sequence[str]) -> Iterator[tuple[Path, ast.AST, Scope]]:
    """Yield the nodes that may be changed, each with the path to it and its scope.

    Docstrings, annotations, decorators, imports and the texts of exceptions and outputs are left out.
    """
    texts = tuple(dict.fromkeys(_list_texts(tree)))
    yield from _walk(tree, (), Scope((), tuple(definitions), _list_attributes(tree), texts))


def change(tree: ast.Module, path: Path, new: ast.AST) -> ast.Module:
    """Return a copy of a tree with another node at the end of the path."""
    if not path:
        return ast.fix_missing_locations(copy.deepcopy(new))  # type: ignore[return-value]  # a module in place of one
    changed = copy.deepcopy(tree)
    parent: ast.AST = changed
    for step in path[:-1]:
        parent = _follow(parent, step)
    field, index = path[-1]
    if index is None:
        setattr(parent, field, copy.deepcopy(new))
    else:
        getattr(parent, field)[index] = copy.deepcopy(new)
    return ast.fix_missing_locations(changed)


def _follow(node: ast.AST, step: Step) -> ast.AST:
    field, index = step
    value = getattr(node, field)
    found: ast.AST = value if index is None else value[index]
    return found


def _walk(node: ast.AST, path: Path, scope: Scope) -> Iterator[tuple[Path, ast.AST, Scope]]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        scope = Scope(_list_names(node), scope.definitions, scope.attributes, scope.texts)
    yield path, node, scope
    for step, child in _list_children(node):
        yield from _walk(child, (*path, step), scope)


def _list_children(node: ast.AST) -> Iterator[tuple[Step, ast.AST]]:
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "type_comment", "ctx", "op", "ops"):
            continue
        if isinstance(value, ast.AST) and not _is_left_out(value):
            yield (field, None), value
        elif isinstance(value, list):
            for index, child in enumerate(value):
                if isinstance(child, ast.AST) and not _is_left_out(child):
                    yield (field, index), child


def _is_left_out(node: ast.AST) -> bool:
    """Tell whether what a node does is of no interest: documentation, output, or the text of an exception."""
    if isinstance(node, ast.Import | ast.ImportFrom | ast.Raise | ast.Assert | ast.JoinedStr | ast.operator):
        return True
    if not isinstance(node, ast.Expr):
        return False
    value = node.value
    is_output = isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "print"
    return is_output or isinstance(value, ast.Constant)


def _list_names(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> tuple[str, ...]:
    arguments = function.args
    given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    names = [argument.arg for argument in given if argument.arg != "self"]
    stored = [node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    return tuple(name for name in dict.fromkeys([*names, *stored]) if name != "_")


def _list_attributes(tree: ast.Module) -> tuple[str, ...]:
    stored = (
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self"
    )
    return tuple(dict.fromkeys(stored))


def _list_texts(tree: ast.Module) -> Iterator[str]:
    for _, node, _ in _walk(tree, (), Scope()):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            yield node.value

"""Find out which names the code of a notebook binds, from its syntax alone: no code runs."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from grader.authoring.importing.refusal import NOT_PYTHON

__all__ = ["Binding", "Bindings", "parse_cell"]

_DRAWING = ("rand", "shuffle", "choice", "normal", "uniform", "dropout", "Dropout", "init", "Linear", "Conv2d")
_FRAMES = ("pandas", "pd", "read_csv", "DataFrame", "Series", "groupby")


@dataclass(frozen=True)
class Binding:
    """A statement that binds a name.

    Attributes:
        kind: "function", "class", "import" or "variable".
        statement: the statement.
        cell: the number of its cell.
    """

    kind: str
    statement: ast.stmt
    cell: int


class Bindings:
    """The names that cells bind at their top level, each with its last binding.

    Args:
        cells: the code of the cells, in order. Magics and shell commands are ignored.
    """

    def __init__(self, cells: Sequence[str]) -> None:
        self.statements: list[ast.stmt] = []
        self._bindings: dict[str, Binding] = {}
        for number, cell in enumerate(cells):
            for statement in parse_cell(cell):
                self.statements.append(statement)
                for name, kind in _list_bound_names(statement):
                    self._bindings[name] = Binding(kind, statement, number)

    @property
    def names(self) -> frozenset[str]:
        """All bound names."""
        return frozenset(self._bindings)

    def get(self, name: str) -> Binding | None:
        """Return the last binding of a name, None if it is not bound."""
        return self._bindings.get(name)

    def prints(self, name: str) -> bool:
        """Tell whether the source of a function mentions `print`."""
        return any(isinstance(node, ast.Name) and node.id == "print" for node in self._walk(name))

    def draws(self, name: str) -> bool:
        """Tell whether a function or class seems to draw random numbers, judging by its source."""
        words = (_get_word(node) for node in self._walk(name))
        return any(word.startswith(_DRAWING) for word in words)

    def is_frame(self, name: str) -> bool:
        """Tell whether a name seems to be bound to an object of pandas, judging by the source."""
        return any(_get_word(node) in _FRAMES for node in self._walk(name))

    def is_made_by_class(self, name: str) -> bool:
        """Tell whether a variable is bound to an instance of one of the notebook's classes."""
        binding = self.get(name)
        value = getattr(binding.statement, "value", None) if binding else None
        function = value.func if isinstance(value, ast.Call) else None
        made_by = self.get(function.id) if isinstance(function, ast.Name) else None
        return made_by is not None and made_by.kind == "class"

    def _walk(self, name: str) -> Iterator[ast.AST]:
        """Yield the nodes of the statement that binds a name, none for an import."""
        binding = self.get(name)
        return ast.walk(binding.statement) if binding and binding.kind != "import" else iter(())


def parse_cell(cell: str) -> list[ast.stmt]:
    """Return a cell's statements without magics and shell commands, or an empty list if it is not Python."""
    for text in (cell, "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in cell.split("\n"))):
        try:
            return ast.parse(text).body
        except NOT_PYTHON:
            continue
    return []


def _get_word(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _list_bound_names(statement: ast.stmt) -> Iterator[tuple[str, str]]:
    """Yield the names that a statement binds in its own scope, with the kind of binding."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield statement.name, "function"
        case ast.ClassDef():
            yield statement.name, "class"
        case ast.Import() | ast.ImportFrom():
            for alias in statement.names:
                yield alias.asname or alias.name.partition(".")[0], "import"
        case _:
            yield from ((name, "variable") for name in _list_stored_names(statement))
            for inner in _list_blocks(statement):
                yield from _list_bound_names(inner)


def _list_stored_names(statement: ast.stmt) -> Iterator[str]:
    pending = [node for node in ast.iter_child_nodes(statement) if not isinstance(node, ast.stmt)]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif not isinstance(node, ast.comprehension | ast.Lambda | ast.stmt):
            pending += ast.iter_child_nodes(node)


def _list_blocks(statement: ast.stmt) -> Iterable[ast.stmt]:
    """Yield the statements inside an if, a loop, a with or a try."""
    for node in ast.iter_child_nodes(statement):
        if isinstance(node, ast.stmt):
            yield node
        elif isinstance(node, ast.ExceptHandler | ast.match_case):
            yield from node.body

"""What the code of a notebook binds, read from its syntax: nothing of it runs."""

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
    """What one statement binds a name to: "function", "class", "import" or "variable"; `cell` is where it stands."""

    kind: str
    statement: ast.stmt
    cell: int


class Bindings:
    """The names that some cells bind at their top level, to what they bind them last.

    Args:
        cells: their code, in order; one that is no Python (shell commands, magics) is read without these lines.
    """

    def __init__(self, cells: Sequence[str]) -> None:
        self.statements: list[ast.stmt] = []
        self._found: dict[str, Binding] = {}
        for number, cell in enumerate(cells):
            for statement in parse_cell(cell):
                self.statements.append(statement)
                for name, kind in _bound(statement):
                    self._found[name] = Binding(kind, statement, number)

    @property
    def names(self) -> frozenset[str]:
        """Return all that is bound."""
        return frozenset(self._found)

    def get(self, name: str) -> Binding | None:
        """Return what a name is bound to last."""
        return self._found.get(name)

    def prints(self, name: str) -> bool:
        """Tell whether a function prints, as far as its text says."""
        return any(isinstance(node, ast.Name) and node.id == "print" for node in self._inside(name))

    def draws(self, name: str) -> bool:
        """Tell whether a function or class may draw random numbers, as far as its text says."""
        words = (_word(node) for node in self._inside(name))
        return any(word.startswith(_DRAWING) for word in words)

    def is_frame(self, name: str) -> bool:
        """Tell whether a name stands for something of pandas, as far as its text says."""
        return any(_word(node) in _FRAMES for node in self._inside(name))

    def is_made_by_class(self, name: str) -> bool:
        """Tell whether a variable is an object of one of the notebook's classes."""
        binding = self.get(name)
        value = getattr(binding.statement, "value", None) if binding else None
        called = value.func if isinstance(value, ast.Call) else None
        made_by = self.get(called.id) if isinstance(called, ast.Name) else None
        return made_by is not None and made_by.kind == "class"

    def _inside(self, name: str) -> Iterator[ast.AST]:
        binding = self.get(name)
        return ast.walk(binding.statement) if binding and binding.kind != "import" else iter(())


def parse_cell(cell: str) -> list[ast.stmt]:
    """Return a cell's statements, without magics and shell commands; none where it is no Python."""
    for text in (cell, "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in cell.split("\n"))):
        try:
            return ast.parse(text).body
        except NOT_PYTHON:
            continue
    return []


def _word(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _bound(statement: ast.stmt) -> Iterator[tuple[str, str]]:
    """Give the names that a statement binds in its own scope."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield statement.name, "function"
        case ast.ClassDef():
            yield statement.name, "class"
        case ast.Import() | ast.ImportFrom():
            for alias in statement.names:
                yield alias.asname or alias.name.partition(".")[0], "import"
        case _:
            yield from ((name, "variable") for name in _stored(statement))
            for inner in _blocks(statement):
                yield from _bound(inner)


def _stored(statement: ast.stmt) -> Iterator[str]:
    pending = [node for node in ast.iter_child_nodes(statement) if not isinstance(node, ast.stmt)]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif not isinstance(node, ast.comprehension | ast.Lambda | ast.stmt):
            pending += ast.iter_child_nodes(node)


def _blocks(statement: ast.stmt) -> Iterable[ast.stmt]:
    """Give the statements inside an if, a loop, a with or a try."""
    for node in ast.iter_child_nodes(statement):
        if isinstance(node, ast.stmt):
            yield node
        elif isinstance(node, ast.ExceptHandler | ast.match_case):
            yield from node.body

"""The model solution as a notebook: a cell for each of the reference's definitions, and the statements of solution.py.

A mutant or an alternative is the same notebook with some of the definitions replaced.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import CodeType
from typing import Any

from grader.assignment import Assignment
from grader.errors import AssignmentError

__all__ = ["Solution", "SolutionCell", "list_own_packages", "load_solution", "read_cells"]

_DEFINITIONS = (ast.FunctionDef, ast.ClassDef)


@dataclass(frozen=True)
class SolutionCell:
    """One cell; `name` is the name that it defines, or ""."""

    name: str
    source: str

    def run(self, namespace: dict[str, Any]) -> None:
        """Execute it; only for code that we wrote ourselves."""
        exec(_compile(self), namespace)

    @property
    def is_import(self) -> bool:
        """Whether it does nothing but import."""
        return not self.name and _only_imports(self.source)


@dataclass(frozen=True)
class Solution:
    """A notebook of cells, imports first."""

    cells: tuple[SolutionCell, ...]

    def with_definitions(self, cells: Sequence[SolutionCell]) -> Solution:
        """Return a copy with these definitions in place of those of the same name.

        Cells without a name (imports, settings) come first, then new names, then the other definitions.
        """
        new = {cell.name: cell for cell in cells if cell.name}
        old = {cell.name for cell in self.cells}
        nameless = [cell for cell in cells if not cell.name]
        added = [cell for name, cell in new.items() if name not in old]
        replaced = [new.get(cell.name, cell) if cell.name else cell for cell in self.cells]
        definitions = [cell for cell in replaced if cell.name]
        imports = [cell for cell in replaced[:1] if not cell.name]
        statements = [cell for cell in replaced[len(imports) :] if not cell.name]
        return Solution((*imports, *nameless, *added, *definitions, *statements))

    def users_of(self, name: str) -> frozenset[str]:
        """Return a name and the definitions that use it, directly or through others; "" stands for nameless cells."""
        users = {name}
        while True:
            more = {cell.name for cell in self.cells if _find_names(cell.source) & users - {""}} - users
            if not more:
                return frozenset(users)
            users |= more

    def namespace(self) -> dict[str, Any]:
        """Run its imports and definitions, and nothing else, and return the names that they bind."""
        namespace: dict[str, Any] = {"__name__": "solution"}
        for cell in self.cells:
            if cell.name or cell.is_import:
                cell.run(namespace)
        return namespace


def list_own_packages(assignment: Assignment) -> tuple[str, ...]:
    """Return the names under which an assignment's own code may import itself. Students do not have these packages."""
    return (assignment.folder.name, *([assignment.reference.name] if assignment.reference else []))


def load_solution(assignment: Assignment) -> Solution:
    """Return an assignment's model solution: its reference, then `solution.py` beside the rubric, if it exists.

    Raises:
        AssignmentError: there is no reference, or one of its files is no Python.
    """
    if assignment.reference is None:
        raise AssignmentError(f"{assignment.folder / 'rubric.toml'} names no reference: add reference = a folder")
    own = list_own_packages(assignment)
    files = [path for path in sorted(assignment.reference.glob("*.py")) if path.name != "__init__.py"]
    cells = [cell for path in files for cell in read_cells(path, own)]
    statements = assignment.folder / "solution.py"
    last = list(read_cells(statements, own)) if statements.is_file() else []
    imports = [cell for cell in (*cells, *last) if cell.is_import]
    lines = dict.fromkeys(cell.source for cell in imports)
    rest = [cell for cell in (*cells, *last) if cell not in imports]
    return Solution((SolutionCell("", "\n".join(lines)), *rest))


def read_cells(path: Path, own: Sequence[str] = ()) -> Iterator[SolutionCell]:
    """Yield the top-level statements of a file as cells, without docstring, `__all__` and imports of our own modules.

    Args:
        path: a Python file.
        own: names of packages that students' notebooks do not have.

    Raises:
        AssignmentError: the file is no Python.
    """
    text = path.read_text(encoding="utf-8")
    try:
        tree = _parse(text)
    except SyntaxError as error:
        raise AssignmentError(f"{path}, line {error.lineno} is no Python: {error.msg}") from error
    for number, node in enumerate(tree.body):
        docstring = number == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not docstring and not _is_ours(node, {*own, "grader", "__future__"}):
            name = node.name if isinstance(node, _DEFINITIONS) else ""
            yield SolutionCell(name, _quote_source(text, node))


_parse = lru_cache(maxsize=64)(ast.parse)


@lru_cache(maxsize=1024)
def _only_imports(source: str) -> bool:
    return all(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.parse(source).body)


@lru_cache(maxsize=1024)
def _find_names(source: str) -> frozenset[str]:
    return frozenset(node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name))


@lru_cache(maxsize=1024)
def _compile(cell: SolutionCell) -> CodeType:
    return compile(cell.source, f"<{cell.name or 'imports'}>", "exec")


def _is_ours(node: ast.stmt, own: set[str]) -> bool:
    """Tell whether a statement is an import of our own modules, or the list of public names."""
    if isinstance(node, ast.ImportFrom):
        return node.level > 0 or (node.module or "").partition(".")[0] in own
    if isinstance(node, ast.Import):
        return all(alias.name.partition(".")[0] in own for alias in node.names)
    return isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]


def _quote_source(text: str, node: ast.stmt) -> str:
    decorators: Sequence[ast.expr] = node.decorator_list if isinstance(node, _DEFINITIONS) else ()
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    return "\n".join(text.splitlines()[first - 1 : node.end_lineno])

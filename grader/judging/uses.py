"""Which of a notebook's global names the definition of another uses, read from the source of its cells.

A name counts as used wherever it stands in a statement that binds the other. That is too much rather than too little:
it only decides what is worth trying.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

from grader.judging.cell_sources import parse_cell
from grader.submission.submission import Notebook

__all__ = ["STATEMENTS", "find_uses", "reach"]

STATEMENTS = ""  # stands for the statements of the notebook that define no function and no class
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def find_uses(notebooks: Sequence[Notebook]) -> dict[str, set[str]]:
    """Return for each name that a statement at the top level of a cell binds the names in those statements.

    `STATEMENTS` has those of all statements that are no definitions.
    """
    uses: dict[str, set[str]] = {}
    for notebook in notebooks:
        for cell in notebook.cells:
            tree = parse_cell(cell) if cell.kind == "code" else None
            for statement in tree.body if tree else ():
                names = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
                others = () if isinstance(statement, _DEFINITIONS) else (STATEMENTS,)
                for bound in (*_list_bound(statement), *others):
                    uses.setdefault(bound, set()).update(names - {bound})
    return uses


def _list_bound(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement binds; a decorator may add a method to a class, as `add_to_class` does."""
    if isinstance(statement, _DEFINITIONS):
        yield statement.name
        for decorator in statement.decorator_list:
            yield from (node.id for node in ast.walk(decorator) if isinstance(node, ast.Name))
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.ClassDef) and node is not statement:
            yield node.name


def reach(name: str, uses: Mapping[str, set[str]]) -> set[str]:
    """Return the names that a name uses, directly or through others."""
    reached: set[str] = set()
    waiting = [name]
    while waiting:
        new = uses.get(waiting.pop(), set()) - reached
        reached |= new
        waiting += new
    return reached - {name}

"""Find the misconceptions that an assignment declares, and turn one into a notebook's cells."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from grader.assignment import Assignment
from grader.errors import AssignmentError
from grader.judging.solution import SolutionCell, read_cells
from grader.testing.misconceptions import MARK, Misconception, read_source

__all__ = ["find_misconceptions", "write_mutant"]


def find_misconceptions(assignment: Assignment, modules: Iterable[ModuleType]) -> tuple[Misconception, ...]:
    """Return the misconceptions that modules declare, in order.

    Raises:
        AssignmentError: two have the same name, or one breaks nothing or an item that the rubric does not have, or is
            the same as one that does not exist.
    """
    items = {item.id for item in assignment.items}
    found: dict[str, Misconception] = {}
    for module in modules:
        for name, thing in vars(module).items():
            mistake = vars(thing).get(MARK) if hasattr(thing, "__dict__") else None
            if isinstance(thing, Misconception):
                mistake = replace(thing, id=name)
            elif not isinstance(mistake, Misconception) or sys.modules.get(thing.__module__) is not module:
                continue
            where = f"{Path(str(module.__file__)).name}: misconception {mistake.id}"
            if mistake.id in found:
                raise AssignmentError(f"{where} is declared twice: give each a name of its own")
            if not mistake.breaks or not mistake.breaks <= items:
                unknown = ", ".join(sorted(mistake.breaks - items)) or "nothing"
                raise AssignmentError(f"{where} breaks {unknown}: name items of rubric.toml")
            found[mistake.id] = mistake
    for mistake in found.values():
        if unknown := ", ".join(sorted(mistake.same_as - found.keys())):
            raise AssignmentError(
                f"misconception {mistake.id} is the same as {unknown}: there is no such misconception"
            )
    return tuple(found.values())


def write_mutant(misconception: Misconception, own: Sequence[str]) -> list[SolutionCell]:
    """Return a misconception's definition under the name that it replaces, what it stands on, and its file's imports.

    Args:
        misconception: the typical mistake.
        own: names of packages that students' notebooks do not have.
    """
    file = Path(inspect.getsourcefile(misconception.mutant) or "")
    imports = [cell for cell in read_cells(file, own) if cell.is_import]
    tree = ast.parse(misconception.source)
    (node,) = tree.body
    assert isinstance(node, ast.FunctionDef | ast.ClassDef)
    node.name = misconception.replaces
    node.decorator_list = [decorator for decorator in node.decorator_list if not _is_mark(decorator)]
    below = [SolutionCell(definition.__name__, read_source(definition)) for definition in misconception.on]
    return [*imports, *below, SolutionCell(misconception.replaces, ast.unparse(tree))]


def _is_mark(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and ast.unparse(decorator.func).rpartition(".")[2] == "misconception"

"""Misconceptions: typical mistakes written out as mutants of the reference.

They serve twice: `grader rubric verify` shows that the rubric catches each of them, and where a student's work answers
a test as a mutant does, the report says which mistake it is.

    @misconception(
        "corr2d",
        breaks=("corr2d.values",),
        says="this is true convolution: the kernel is flipped in both directions",
        look="the book's corr2d slides the kernel as it is",
    )
    def flipped_kernel(X, K):
        ...

A mutant stands alone: besides imports it uses what the model solution defines, and nothing else of its file.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from grader.assignment import Assignment
from grader.errors import AssignmentError
from grader.judging.solution import SolutionCell, cells_of

__all__ = ["Misconception", "find_misconceptions", "misconception"]

Mutant = TypeVar("Mutant", bound=Callable[..., Any])

_MARK = "_grader_misconception"


@dataclass(frozen=True)
class Misconception:
    """One typical mistake.

    Attributes:
        id: its name in its file, in words (ShortcutMissing is shortcut_missing).
        replaces: the name of the definition that it stands in for.
        breaks: the ids of the items that lose points, all of them.
        says: what is wrong, in a sentence without its end.
        look: what to look at, as another.
        mutant: the wrong function or class.
    """

    id: str
    replaces: str
    breaks: frozenset[str]
    says: str
    look: str
    mutant: Callable[..., Any]

    def cells(self, own: Sequence[str]) -> list[SolutionCell]:
        """Return its definition under the name that it replaces, and the imports of its file.

        Args:
            own: names of packages that a student's notebook does not have.
        """
        file = Path(inspect.getsourcefile(self.mutant) or "")
        imports = [cell for cell in cells_of(file, own) if cell.is_import]
        tree = ast.parse(textwrap.dedent(inspect.getsource(self.mutant)))
        (node,) = tree.body
        assert isinstance(node, ast.FunctionDef | ast.ClassDef)
        node.name = self.replaces
        node.decorator_list = [each for each in node.decorator_list if not _is_mark(each)]
        return [*imports, SolutionCell(self.replaces, ast.unparse(tree))]


def misconception(replaces: str, *, breaks: Iterable[str], says: str, look: str) -> Callable[[Mutant], Mutant]:
    """Declare a function or class as a typical mistake.

    Args:
        replaces: the name of the definition that it stands in for.
        breaks: the ids of the items that lose points by it, and of no others.
        says: what is wrong, in a sentence without its end.
        look: what to look at, as another.
    """

    def decorate(mutant: Mutant) -> Mutant:
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", mutant.__name__).lower()
        found = Misconception(words, replaces, frozenset(breaks), says, look, mutant)
        setattr(mutant, _MARK, found)
        return mutant

    return decorate


def find_misconceptions(assignment: Assignment, modules: Iterable[ModuleType]) -> tuple[Misconception, ...]:
    """Return the misconceptions that modules declare, in order.

    Raises:
        AssignmentError: two have one name, or one breaks nothing, or an item that the rubric does not have.
    """
    items = {item.id for item in assignment.items}
    found: dict[str, Misconception] = {}
    for module in modules:
        for thing in vars(module).values():
            each = vars(thing).get(_MARK) if hasattr(thing, "__dict__") else None
            if not isinstance(each, Misconception) or sys.modules.get(thing.__module__) is not module:
                continue
            where = f"{Path(str(module.__file__)).name}: misconception {each.id}"
            if each.id in found:
                raise AssignmentError(f"{where} is declared twice: give each a name of its own")
            if not each.breaks or not each.breaks <= items:
                unknown = ", ".join(sorted(each.breaks - items)) or "nothing"
                raise AssignmentError(f"{where} breaks {unknown}: name items of rubric.toml")
            found[each.id] = each
    return tuple(found.values())


def _is_mark(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and ast.unparse(decorator.func).rpartition(".")[2] == "misconception"

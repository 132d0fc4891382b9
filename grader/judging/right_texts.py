"""The texts of right definitions: of the model solution and of the alternatives, to compare a student's text with."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from grader.assignment import Assignment
from grader.judging.normal_form import Definition
from grader.judging.solution import Solution, SolutionCell, list_own_packages, read_cells

__all__ = ["MODEL_SOLUTION", "RightText", "RightTexts", "list_extended"]

MODEL_SOLUTION = "the model solution"


@dataclass(frozen=True)
class RightText:
    """A right definition.

    Attributes:
        origin: the right notebook that it stands in.
        definition: its text. Methods that are added to a class by a decorator stand in the class.
        helpers: the definitions that it uses and no item asks for, by name.
    """

    origin: str
    definition: Definition
    helpers: Mapping[str, Definition] = field(default_factory=dict)


class RightTexts:
    """The right definitions of an assignment by name.

    Args:
        assignment: has the alternatives in its folder.
        solution: the model solution.

    Attributes:
        left_out: right notebooks with which nothing is compared, by their names. A mutant of an alternative is judged
            without that alternative, as if no one had thought of it.
    """

    def __init__(self, assignment: Assignment, solution: Solution) -> None:
        self.left_out: frozenset[str] = frozenset()
        self._texts: dict[str, list[RightText]] = {}
        self._add(MODEL_SOLUTION, solution.cells, assignment.names)
        own = list_own_packages(assignment)
        for path in sorted((assignment.folder / "alternatives").glob("*.py")):
            self._add(path.stem, list(read_cells(path, own)), assignment.names)

    def find(self, name: str) -> list[RightText]:
        """Return the right definitions of a name."""
        return [text for text in self._texts.get(name, []) if text.origin not in self.left_out]

    def _add(self, origin: str, cells: Sequence[SolutionCell], judged: Sequence[str]) -> None:
        definitions: dict[str, Definition] = {}
        for cell in cells:
            for statement in ast.parse(cell.source).body:
                if isinstance(statement, ast.FunctionDef | ast.ClassDef):
                    extended = [definitions[name] for name in list_extended(statement) if name in definitions]
                    for known in extended:
                        known.body.append(statement)
                    if not extended:
                        definitions[statement.name] = statement
        for name, definition in definitions.items():
            helpers = dict(_find_helpers(definition, definitions, {*judged, name}))
            self._texts.setdefault(name, []).append(RightText(origin, definition, helpers))


def list_extended(statement: ast.stmt) -> list[str]:
    """Return the classes that a function is added to by its decorators, as `@d2l.add_to_class(C)` does."""
    decorators = statement.decorator_list if isinstance(statement, ast.FunctionDef) else []
    calls = [decorator for decorator in decorators if isinstance(decorator, ast.Call)]
    added = [call for call in calls if ast.unparse(call.func).rpartition(".")[2] == "add_to_class"]
    return [argument.id for call in added for argument in call.args if isinstance(argument, ast.Name)]


def _find_helpers(
    definition: Definition, definitions: Mapping[str, Definition], known: set[str]
) -> Iterator[tuple[str, Definition]]:
    for node in ast.walk(definition):
        if isinstance(node, ast.Name) and node.id in definitions and node.id not in known:
            known.add(node.id)
            yield node.id, definitions[node.id]
            yield from _find_helpers(definitions[node.id], definitions, known)

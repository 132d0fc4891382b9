"""Write mutants of the model solution and of the alternatives: each differs from a right definition at one place."""

from __future__ import annotations

import ast
import difflib
import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from grader.authoring.mutation.calls import CALL_OPERATORS
from grader.authoring.mutation.expressions import EXPRESSION_OPERATORS
from grader.authoring.mutation.layout import break_lines
from grader.authoring.mutation.operators import Path, change, list_sites
from grader.authoring.mutation.statements import STATEMENT_OPERATORS
from grader.judging.loading import Rubric
from grader.judging.solution import Solution, SolutionCell, read_cells

__all__ = ["MODEL_SOLUTION", "Mutant", "find_users", "list_origins", "make_mutants", "write_mutants"]

MODEL_SOLUTION = "the model solution"
_OPERATORS = {**STATEMENT_OPERATORS, **CALL_OPERATORS, **EXPRESSION_OPERATORS}


@dataclass(frozen=True)
class Mutant:
    """A right definition that was changed at one place.

    Attributes:
        definition: its name; "" for a statement that defines nothing.
        judged: the name that items judge: the definition's own, or that of one which uses it.
        origin: the right notebook that it comes from.
        cell: the index of its cell in that notebook.
        operator: what was done.
        before, after: the changed lines.
        lines: the numbers of the changed lines in `source`, from 1.
        source: the definition after the change.
    """

    definition: str
    judged: str
    origin: str
    cell: int
    operator: str
    before: str
    after: str
    lines: tuple[int, ...]
    source: str

    def apply(self, notebook: Solution) -> Solution:
        """Return the notebook that it comes from, with the change."""
        cells = list(notebook.cells)
        cells[self.cell] = SolutionCell(self.definition, self.source)
        return Solution(tuple(cells))


def list_origins(rubric: Rubric) -> dict[str, Solution]:
    """Return the right notebooks of an assignment by name: the model solution, and one for each alternative.

    Every definition is written as `ast.unparse` writes it, so that a mutant differs in the changed lines only.
    """
    origins = {MODEL_SOLUTION: _normalise(rubric.solution)}
    for path in sorted((rubric.assignment.folder / "alternatives").glob("*.py")):
        cells = list(read_cells(path, rubric.own_packages))
        # A statement that is no import sets something for the whole process, such as torch's default dtype.
        if all(cell.name or cell.is_import for cell in cells):
            origins[path.stem] = _normalise(rubric.solution.with_definitions(cells))
    return origins


def make_mutants(rubric: Rubric, only: Collection[str] = (), limit: int | None = None) -> list[Mutant]:
    """Return the mutants of all definitions that decide an item that tests judge, without repetitions.

    Args:
        rubric: has a model solution.
        only: names that items judge; if there are none, all are changed. What only these use is changed with them.
        limit: how many to return, in turn from each name and operator.
    """
    origins = list_origins(rubric)
    seen = {ast.dump(ast.parse(cell.source)) for notebook in origins.values() for cell in notebook.cells}
    drafts = [draft for draft in _draft_all(rubric, origins) if not only or draft.judged in only]
    mutants: list[Mutant] = []
    for draft in drafts if limit is None else _take_turns(drafts):
        if limit is not None and len(mutants) == limit:
            break
        mutant = draft.write()
        written = mutant and ast.dump(ast.parse(mutant.source))
        if mutant and written not in seen:
            seen.add(str(written))
            mutants.append(mutant)
    return _break_lines(mutants, origins)


@dataclass(frozen=True)
class _Draft:
    """A change that is not written yet: see `Mutant` for the attributes."""

    cell: SolutionCell
    tree: ast.Module
    judged: str
    origin: str
    index: int
    operator: str
    path: Path
    new: ast.AST

    def write(self) -> Mutant | None:
        """Return the mutant. Return None if it is no Python, or nothing changes."""
        try:
            source = ast.unparse(change(self.tree, self.path, self.new))
            compile(source, self.cell.name, "exec")
        except (SyntaxError, ValueError, TypeError, AttributeError):
            return None  # what stands there must be a target or a statement
        if source == self.cell.source:
            return None
        difference = _find_difference(self.cell.source, source)
        return Mutant(self.cell.name, self.judged, self.origin, self.index, self.operator, *difference, source)


def _draft_all(rubric: Rubric, origins: Mapping[str, Solution]) -> Iterator[_Draft]:
    model = {cell.source for cell in origins[MODEL_SOLUTION].cells}
    for origin, notebook in origins.items():
        names = [cell.name for cell in notebook.cells if cell.name]
        for index, cell in enumerate(notebook.cells):
            is_new = origin == MODEL_SOLUTION or cell.source not in model
            judged = None if cell.is_import or not is_new else _find_judged(cell.name, rubric, notebook)
            if judged is not None:
                yield from _draft(cell, names, judged, origin, index)


def _draft(cell: SolutionCell, names: Sequence[str], judged: str, origin: str, index: int) -> Iterator[_Draft]:
    tree = ast.parse(cell.source)
    for path, node, scope in list_sites(tree, names):
        for operator, make in _OPERATORS.items():
            for new in make(node, scope):
                yield _Draft(cell, tree, judged, origin, index, operator, path, new)


def write_mutants(cell: SolutionCell, names: Sequence[str] = ()) -> Iterator[Mutant]:
    """Yield the mutants of one cell.

    Args:
        cell: a cell of a right notebook.
        names: the names that the notebook defines.
    """
    (written,) = _normalise(Solution((cell,))).cells
    return (mutant for draft in _draft(written, names, cell.name, "", 0) if (mutant := draft.write()))


def _take_turns(drafts: Sequence[_Draft]) -> Iterator[_Draft]:
    """Yield drafts in turn from each judged name and there from each operator, always in the same order."""
    by_name: dict[str, dict[str, list[_Draft]]] = {}
    for draft in drafts:
        by_name.setdefault(draft.judged, {}).setdefault(draft.operator, []).append(draft)
    shuffled = random.Random(0)
    turns = []
    for by_operator in by_name.values():
        for group in by_operator.values():
            shuffled.shuffle(group)
        turns.append([draft for row in zip_longest(*by_operator.values()) for draft in row if draft])
    return (draft for row in zip_longest(*turns) for draft in row if draft)


def _break_lines(mutants: Sequence[Mutant], origins: Mapping[str, Solution]) -> list[Mutant]:
    """Return the mutants with broken lines, and the changed ones among them."""
    right = [origins[mutant.origin].cells[mutant.cell].source for mutant in mutants]
    broken = break_lines([*right, *(mutant.source for mutant in mutants)])
    rewritten = []
    for mutant, original in zip(mutants, right, strict=True):
        source = broken[mutant.source]
        before, after, lines = _find_difference(broken[original], source)
        rewritten.append(replace(mutant, source=source, before=before, after=after, lines=lines))
    return rewritten


def _find_difference(right: str, source: str) -> tuple[str, str, tuple[int, ...]]:
    """Return the lines of both that differ, and their numbers in the second."""
    old, new = right.split("\n"), source.split("\n")
    before: list[str] = []
    after: list[str] = []
    numbers: list[int] = []
    for tag, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            before += old[a:b]
            after += new[c:d]
            numbers += range(c + 1, d + 1) if d > c else [max(c, 1), min(c + 1, len(new))]
    if before == after:  # lines that changed places
        after = [*before, f"    (now line {numbers[0]})"]
    return "\n".join(map(str.strip, before)), "\n".join(map(str.strip, after)), tuple(dict.fromkeys(numbers))


def find_users(name: str, notebook: Solution) -> frozenset[str]:
    """Return a definition and those that use it, directly or through others, with the class that a method is added to.

    Args:
        name: the definition's name; "" stands for statements without a name.
        notebook: a right notebook.
    """
    if not name:
        return frozenset({""})
    users = notebook.users_of(name)
    for cell in notebook.cells:
        if cell.name == name:
            for added in _list_extended(cell.source):
                users |= notebook.users_of(added)
    return users


def _list_extended(source: str) -> Iterator[str]:
    """Yield the classes that a function is added to by its decorators."""
    for statement in ast.parse(source).body:
        for decorator in getattr(statement, "decorator_list", []):
            if isinstance(decorator, ast.Call):
                yield from (argument.id for argument in decorator.args if isinstance(argument, ast.Name))


def _find_judged(name: str, rubric: Rubric, notebook: Solution) -> str | None:
    """Return a name if items judge it, else the first of those that use it; "" stands for statements without a name."""
    users = find_users(name, notebook)
    wanted = dict.fromkeys(judged for item in rubric.assignment.tested for judged in item.names[:1] or ("",))
    if name in wanted:
        return name
    return next((judged for judged in wanted if judged in users), None)


def _normalise(notebook: Solution) -> Solution:
    return Solution(tuple(SolutionCell(cell.name, ast.unparse(ast.parse(cell.source))) for cell in notebook.cells))

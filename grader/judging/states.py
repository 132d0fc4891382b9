"""The states of a notebook in which items are judged: where their names are defined, or what may stand for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from grader.assignment import Assignment, Item
from grader.judging.near_names import find_near_names, simplify
from grader.student import Candidate, Definition, Work

__all__ = ["CandidateState", "Search", "StateFinder"]

_MOST_TRIED = 100  # candidates of one search


@dataclass(frozen=True)
class CandidateState:
    """A state of the student's notebook in which an item is judged.

    Attributes:
        definition: the definition after which the notebook stands; None offers recorded values only.
        aliases: maps the name that a test asks for to the student's own name.
        found_as: the student's own name, if it is another one than the item's.
        expected: the item's name, if the student's is nearly the same.
    """

    definition: Definition | None
    aliases: Mapping[str, str] = field(default_factory=dict)
    found_as: str | None = None
    expected: str | None = None

    @property
    def origin(self) -> tuple[str, int, str] | None:
        """The file, cell and name of what was found under another name."""
        if self.definition is None or self.found_as is None:
            return None
        return self.definition.file, self.definition.cell, self.found_as


@dataclass(frozen=True)
class Search:
    """A search for what some items ask for, which all have the same main name: the states to try, in order."""

    items: Sequence[Item]
    states: Sequence[CandidateState]


class StateFinder:
    """Finds the states in which the items of one submission are judged.

    Args:
        assignment: the rubric.
        work: the submission, after its cells have run.
        filled_in: the names of the parameters that an item's tests can fill in, by the item's id.
    """

    def __init__(self, assignment: Assignment, work: Work, filled_in: Mapping[str, Sequence[str]]) -> None:
        self._work = work
        self._filled_in = filled_in
        self._taken = frozenset(assignment.names)

    def find_defined(self, item: Item) -> list[CandidateState]:
        """Return the states of an item's own definitions; if there are none, those of names nearly the same."""
        if not item.names:
            return [CandidateState(None)]
        definitions = self._find_definitions(item)
        if not item.recipes:
            # Start at the end of the notebook: one process serves all items there, and most right items pass there.
            definitions.sort(key=lambda definition: not definition.at_end)
        if definitions:
            aliases = {} if item.search else self._find_aliases(item.names[1:])
            return [CandidateState(definition, aliases) for definition in definitions]
        return self._find_nearly_named(item)

    def find_instances(self, item: Item) -> list[CandidateState]:
        """Return the states with a model of the item's class, for a class that takes arguments of the student's own."""
        if not (item.search and self._work.definitions(item.names[:1])):
            return []
        name = item.names[0]
        return [
            CandidateState(candidate.definition, {name: candidate.name}, candidate.name)
            for candidate in self._work.candidates()
            if candidate.class_name == name and candidate.name != name
        ]

    def plan_searches(self, items: Sequence[Item]) -> list[Search]:
        """Return the searches for each main name that is not defined, if its items may be found under any name.

        What is or builds a model is tried for all names before anything else is, which may take all of the time.
        """
        families: dict[str, list[Item]] = {}
        for item in items:
            if item.search and not self._find_definitions(item):
                families.setdefault(item.names[0], []).append(item)
        return [
            Search(family, self._list_candidates(name, family, builds))
            for builds in (True, False)
            for name, family in families.items()
        ]

    def _find_definitions(self, item: Item) -> list[Definition]:
        """Return the definitions of an item's names, from the first definition of its main name in each file on."""
        defined: set[str] = set()
        judged = []
        for definition in self._work.definitions(item.names):
            if item.names[0] in definition.names:
                defined.add(definition.file)
            if definition.file in defined:
                judged.append(definition)
        return judged

    def _find_nearly_named(self, item: Item) -> list[CandidateState]:
        expected = item.names[0]
        nearly = self._find_nearly(expected, item.search)
        if item.search:
            available = self._find_available([item])
            nearly = [candidate for candidate in nearly if candidate.required <= available]
        elif len({candidate.name for candidate in nearly}) != 1:
            return []
        others = {} if item.search else self._find_aliases(item.names[1:])
        return [
            CandidateState(candidate.definition, {expected: candidate.name, **others}, candidate.name, expected)
            for candidate in nearly
        ]

    def _find_aliases(self, names: Sequence[str]) -> dict[str, str]:
        """Return the student's own names for those names that are not defined, if there is one nearly the same."""
        aliases = {}
        for name in names:
            if not self._work.definitions([name]) and not self._work.imported_from(name):
                near = {candidate.name for candidate in self._find_nearly(name, models=False)}
                aliases.update({name: near.pop()} if len(near) == 1 else {})
        return aliases

    def _find_nearly(self, expected: str, models: bool) -> list[Candidate]:
        """Return the candidates whose name is nearly `expected`: of the same kind, or of any kind if it is a model."""
        near = set(find_near_names(expected, (c.name for c in self._work.candidates()), self._taken))
        kind = "class" if expected[:1].isupper() else "function"
        return [c for c in self._work.candidates() if c.name in near and (models or c.kind == kind)]

    def _find_available(self, items: Sequence[Item]) -> set[str]:
        """Return the parameters that the items' tests can fill in."""
        return {simplify(parameter) for item in items for parameter in self._filled_in.get(item.id, ())}

    def _list_candidates(self, name: str, family: Sequence[Item], builds: bool) -> list[CandidateState]:
        """Return the states to try for a main name, with what is or builds a model or without: first what resembles."""
        available = self._find_available(family)
        nearly = {candidate.name for candidate in self._find_nearly(name, models=True)}
        stem = simplify(name).rstrip("0123456789")
        candidates = [
            candidate
            for candidate in self._work.candidates()
            if candidate.builds is builds and candidate.required <= available and candidate.name not in nearly
        ]
        order = sorted(
            candidates,
            key=lambda c: (stem not in simplify(f"{c.name} {c.class_name}"), c.kind == "function"),
        )
        return [CandidateState(c.definition, {name: c.name}, c.name) for c in order[:_MOST_TRIED]]

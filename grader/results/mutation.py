"""What a rubric makes of single-point mutants of right definitions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

__all__ = ["GOAL_CAUGHT", "GOAL_TOLD", "DefinitionRow", "Diagnosis", "JudgedMutant", "LostItem", "MutationTable"]

GOAL_CAUGHT = 0.99  # of the mutants that are not equivalent
GOAL_TOLD = 0.85  # of those that were caught, named or placed


class Diagnosis(StrEnum):
    """What a report says of a mutant, the worst first."""

    FALSE = "false"  # it names a mistake that the mutant does not have
    BARE = "bare"  # numbers, or an exception, and no place
    PLACED = "placed"  # the line of an exception, which is not the changed line
    EXACT = "exact"  # the changed line
    NAMED = "named"  # a known mistake that answers all drawn cases as the mutant does


@dataclass(frozen=True)
class LostItem:
    """What a report says of an item that a mutant lost.

    Attributes:
        item: the item's id.
        diagnosis: what kind of explanation that is.
        message: the report's message.
        misconception: the known mistake that it names, or "".
        why: why that is false, or "".
    """

    item: str
    diagnosis: Diagnosis
    message: str
    misconception: str = ""
    why: str = ""


@dataclass(frozen=True)
class JudgedMutant:
    """A mutant and what became of it.

    Attributes:
        definition: the name of the changed definition; "" for a statement without a name.
        judged: the name that items judge: the definition's own, or that of one which uses it.
        origin: the right notebook that it comes from.
        operator: what was done.
        line: the first changed line of the definition.
        before, after: the changed lines.
        source: the definition after the change.
        caught: whether it lost points.
        refused: whether it cannot even be defined: the name is absent, and the report quotes the exception.
        equivalent: whether it lost none and behaves as the right version in all drawn cases.
        loses: the ids of all items that it lost.
        told: what the report says of the items that judge the changed definition.
        why: how a survivor differs from the right version, or why there is nothing to say.
    """

    definition: str
    judged: str
    origin: str
    operator: str
    line: int
    before: str
    after: str
    source: str
    caught: bool = False
    refused: bool = False
    equivalent: bool = False
    loses: tuple[str, ...] = ()
    told: tuple[LostItem, ...] = ()
    why: str = ""

    @property
    def survived(self) -> bool:
        """Whether it lost no points, although it does not behave as the right version does."""
        return not self.caught and not self.equivalent

    @property
    def diagnosis(self) -> Diagnosis | None:
        """The worst of what the report says of it. None if it was not caught."""
        if not self.caught:
            return None
        order = list(Diagnosis)
        default = Diagnosis.EXACT if self.refused else Diagnosis.BARE
        return min((item.diagnosis for item in self.told), key=order.index, default=default)


@dataclass(frozen=True)
class DefinitionRow:
    """The number of mutants of one definition by what became of them."""

    definition: str
    mutants: int
    equivalent: int
    survived: int
    caught: int
    told: dict[Diagnosis, int]


@dataclass(frozen=True)
class MutationTable:
    """All mutants of an assignment, or of some of its definitions."""

    assignment: str
    revision: str
    mutants: tuple[JudgedMutant, ...]

    @property
    def rows(self) -> tuple[DefinitionRow, ...]:
        """A row for each definition, in order, and one with the sums, which has no name but "all"."""
        names = dict.fromkeys(mutant.judged for mutant in self.mutants)
        rows = [_count(name, [item for item in self.mutants if item.judged == name]) for name in names]
        return (*rows, _count("all", self.mutants))

    @property
    def caught(self) -> float:
        """The share that was caught, of those that are not equivalent."""
        total = self.rows[-1]
        return total.caught / max(1, total.caught + total.survived)

    @property
    def told(self) -> float:
        """The share of those caught that is named or placed."""
        total = self.rows[-1]
        told = sum(total.told[diagnosis] for diagnosis in (Diagnosis.NAMED, Diagnosis.EXACT, Diagnosis.PLACED))
        return told / max(1, total.caught)

    @property
    def reaches_goal(self) -> bool:
        """Whether enough mutants are caught, enough of those named or placed, and none has a false name."""
        return self.caught >= GOAL_CAUGHT and self.told >= GOAL_TOLD and not self.rows[-1].told[Diagnosis.FALSE]

    def to_json(self) -> str:
        """Return the table and its mutants as JSON."""
        mutants: list[dict[str, Any]] = [
            {**asdict(mutant), "survived": mutant.survived, "diagnosis": mutant.diagnosis} for mutant in self.mutants
        ]
        values = {
            "assignment": self.assignment,
            "revision": self.revision,
            "reaches_goal": self.reaches_goal,
            "caught": round(self.caught, 4),
            "named_or_placed": round(self.told, 4),
            "rows": [asdict(row) for row in self.rows],
            "mutants": mutants,
        }
        return json.dumps(values, indent=1, ensure_ascii=False) + "\n"


def _count(name: str, mutants: Sequence[JudgedMutant]) -> DefinitionRow:
    return DefinitionRow(
        definition=name or "statements",
        mutants=len(mutants),
        equivalent=sum(mutant.equivalent for mutant in mutants),
        survived=sum(mutant.survived for mutant in mutants),
        caught=sum(mutant.caught for mutant in mutants),
        told={diagnosis: sum(mutant.diagnosis is diagnosis for mutant in mutants) for diagnosis in Diagnosis},
    )

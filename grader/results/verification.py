"""What showing that a rubric is right came to: known submissions, and whether each lost the points it must."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["RubricTest", "Verification", "VerifiedSubmission"]


@dataclass(frozen=True, order=True)
class RubricTest:
    """One test of an item."""

    item: str
    name: str


@dataclass(frozen=True)
class VerifiedSubmission:
    """What grading one known submission came to.

    Attributes:
        kind: "solution", "empty", "alternative" or "mutant".
        name: what it is called.
        replaces: the definitions in which it differs from the model solution.
        must_lose: the items in which it must lose points, and in no other.
        points: what it earned.
        loses: the items in which it lost some.
        failed: the tests that went wrong.
        named: the misconceptions that its report names.
        why: what the report says about the first item that was lost and should not have been.
    """

    kind: str
    name: str
    replaces: tuple[str, ...]
    must_lose: tuple[str, ...]
    points: float
    loses: tuple[str, ...]
    failed: tuple[RubricTest, ...]
    named: tuple[str, ...]
    why: str = ""

    @property
    def right(self) -> bool:
        """Whether it lost points exactly where it must."""
        return set(self.loses) == set(self.must_lose)

    @property
    def verdict(self) -> str:
        """What is to be said about it in a word or two."""
        if self.right:
            return "right"
        if self.kind == "mutant" and not self.loses:
            return "survives"
        return "loses too much" if set(self.loses) > set(self.must_lose) else "loses other items"


@dataclass(frozen=True)
class Verification:
    """What grading all known submissions of an assignment came to; `tests` are all of its rubric."""

    assignment: str
    revision: str
    max_points: float
    checked: tuple[VerifiedSubmission, ...]
    tests: tuple[RubricTest, ...] = field(repr=False)

    @property
    def mutants(self) -> tuple[VerifiedSubmission, ...]:
        """The misconceptions among the submissions."""
        return tuple(each for each in self.checked if each.kind == "mutant")

    @property
    def caught(self) -> int:
        """How many mutants lost points in exactly the items that they break."""
        return sum(each.right for each in self.mutants)

    @property
    def survivors(self) -> tuple[VerifiedSubmission, ...]:
        """The mutants that lost nothing."""
        return tuple(each for each in self.mutants if not each.loses)

    @property
    def unneeded(self) -> tuple[RubricTest, ...]:
        """The tests without which every mutant would lose the same items."""
        needed = {test for each in self.mutants for test in each.failed if _alone(test, each.failed)}
        return tuple(sorted(set(self.tests) - needed))

    @property
    def perfect(self) -> bool:
        """Whether every submission came to what it must."""
        return all(each.right for each in self.checked)

    def to_json(self) -> str:
        """Return it as JSON."""
        values: dict[str, Any] = asdict(self)
        del values["tests"]
        for row, each in zip(values["checked"], self.checked, strict=True):
            row["verdict"] = each.verdict
        sums = {"perfect": self.perfect, "mutants": len(self.mutants), "caught": self.caught}
        unneeded = [asdict(test) for test in self.unneeded]
        return json.dumps({**sums, **values, "unneeded_tests": unneeded}, indent=1, ensure_ascii=False) + "\n"


def _alone(test: RubricTest, failed: tuple[RubricTest, ...]) -> bool:
    return not any(other.item == test.item and other != test for other in failed)

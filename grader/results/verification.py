"""The verification of a rubric: known submissions, and whether each lost the points that it must."""

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
    """The result of grading one known submission.

    Attributes:
        kind: "solution", "empty", "alternative" or "mutant".
        name: the name of the submission.
        replaces: the definitions in which it differs from the model solution.
        must_lose: the items in which it must lose points; it must lose none in others.
        points: the points it earned.
        loses: the items in which it lost points.
        failed: the tests that it failed.
        named: the misconceptions that its report names.
        why: the message of the first item that it lost and should not have lost.
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
        """The result in a word or two."""
        if self.right:
            return "right"
        if self.kind == "mutant" and not self.loses:
            return "survives"
        return "loses too much" if set(self.loses) > set(self.must_lose) else "loses other items"


@dataclass(frozen=True)
class Verification:
    """The results of all known submissions of an assignment; `tests` are all tests of its rubric."""

    assignment: str
    revision: str
    max_points: float
    checked: tuple[VerifiedSubmission, ...]
    tests: tuple[RubricTest, ...] = field(repr=False)

    @property
    def mutants(self) -> tuple[VerifiedSubmission, ...]:
        """The misconceptions among the submissions."""
        return tuple(item for item in self.checked if item.kind == "mutant")

    @property
    def caught(self) -> int:
        """The number of mutants that lost points in exactly the items that they break."""
        return sum(mutant.right for mutant in self.mutants)

    @property
    def survivors(self) -> tuple[VerifiedSubmission, ...]:
        """The mutants that lost nothing."""
        return tuple(mutant for mutant in self.mutants if not mutant.loses)

    @property
    def unneeded(self) -> tuple[RubricTest, ...]:
        """The tests without which every mutant would lose the same items."""
        needed = {test for mutant in self.mutants for test in mutant.failed if _is_alone(test, mutant.failed)}
        return tuple(sorted(set(self.tests) - needed))

    @property
    def perfect(self) -> bool:
        """Whether every submission lost points exactly where it must."""
        return all(submission.right for submission in self.checked)

    def to_json(self) -> str:
        """Return the verification as JSON."""
        values: dict[str, Any] = asdict(self)
        del values["tests"]
        for row, submission in zip(values["checked"], self.checked, strict=True):
            row["verdict"] = submission.verdict
        sums = {"perfect": self.perfect, "mutants": len(self.mutants), "caught": self.caught}
        unneeded = [asdict(test) for test in self.unneeded]
        return json.dumps({**sums, **values, "unneeded_tests": unneeded}, indent=1, ensure_ascii=False) + "\n"


def _is_alone(test: RubricTest, failed: tuple[RubricTest, ...]) -> bool:
    return not any(other.item == test.item and other != test for other in failed)

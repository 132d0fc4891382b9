"""The verification of a rubric: known submissions, and whether each lost the points that it must."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Breakage", "Naming", "RubricTest", "Verification", "VerifiedSubmission"]


@dataclass(frozen=True, order=True)
class RubricTest:
    """One test of an item."""

    item: str
    name: str


@dataclass(frozen=True)
class Breakage:
    """A place at which a test breaks over answers that it does not expect.

    Attributes:
        test: the test.
        file, line: where it breaks; the line is 0 if that is not in a file of the assignment.
        error: the exception's class and text, over the first of the answers.
        case: the description of the case, or "".
        answers: what the student's code does to break it.
    """

    test: RubricTest
    file: str
    line: int
    error: str
    case: str
    answers: tuple[str, ...]


@dataclass(frozen=True)
class Naming:
    """What the report on a mutant names in an item: no misconception, one, or several that it cannot tell apart."""

    item: str
    misconceptions: tuple[str, ...]


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
        names: what its report names in each of those items.
        same_as: the misconceptions that may be named together with it.
        why: the message of the first item that it lost and should not have lost.
    """

    kind: str
    name: str
    replaces: tuple[str, ...]
    must_lose: tuple[str, ...]
    points: float
    loses: tuple[str, ...]
    failed: tuple[RubricTest, ...]
    names: tuple[Naming, ...] = ()
    same_as: tuple[str, ...] = ()
    why: str = ""

    @property
    def identifier(self) -> str:
        """The id of the misconception, if it is one."""
        return self.name.replace(" ", "_")

    @property
    def named(self) -> tuple[str, ...]:
        """The misconceptions that its report names, alone or with others."""
        return tuple(sorted({identifier for naming in self.names for identifier in naming.misconceptions}))

    @property
    def confused(self) -> tuple[Naming, ...]:
        """The items in which another misconception is named, alone or with it, that is not declared to be the same."""
        if self.kind != "mutant":
            return ()
        allowed = {self.identifier, *self.same_as}
        return tuple(
            naming
            for naming in self.names
            if naming.misconceptions
            and (self.identifier not in naming.misconceptions or not allowed.issuperset(naming.misconceptions))
        )

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
    """The results of all known submissions of an assignment.

    `tests` are all tests of its rubric, `breakages` the places at which one breaks over a hostile answer.
    """

    assignment: str
    revision: str
    max_points: float
    checked: tuple[VerifiedSubmission, ...]
    tests: tuple[RubricTest, ...] = field(repr=False)
    breakages: tuple[Breakage, ...] = ()

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
        """Whether all lost points exactly where they must, no mutant is called another, and no answer breaks a test."""
        right = all(submission.right for submission in self.checked)
        return right and not self.breakages and not any(mutant.confused for mutant in self.mutants)

    def to_json(self) -> str:
        """Return the verification as JSON."""
        values: dict[str, Any] = asdict(self)
        del values["tests"]
        for row, submission in zip(values["checked"], self.checked, strict=True):
            row["verdict"] = submission.verdict
            row["confused"] = [naming.item for naming in submission.confused]
        sums = {"perfect": self.perfect, "mutants": len(self.mutants), "caught": self.caught}
        unneeded = [asdict(test) for test in self.unneeded]
        return json.dumps({**sums, **values, "unneeded_tests": unneeded}, indent=1, ensure_ascii=False) + "\n"


def _is_alone(test: RubricTest, failed: tuple[RubricTest, ...]) -> bool:
    return not any(other.item == test.item and other != test for other in failed)

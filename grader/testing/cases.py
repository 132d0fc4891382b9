"""Cases: seeded inputs for a rubric test, each with a description that a student understands."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from grader.errors import GraderError
from grader.student import Fault, Student, StudentFault
from grader.testing.failures import Absent, Pending

__all__ = ["Ahead", "Case", "Cases", "Draw", "Searchable", "WrongCases", "given"]

Choice = TypeVar("Choice")

_SURVIVED = (Fault.RAISED, Fault.CHANGED_ARGUMENT)  # faults after which the student's process still responds


class Case:
    """One set of inputs: `Case("the book's example", X=X, K=K)` has `case.X` and `case.K`."""

    def __init__(self, description: str, **values: Any) -> None:
        self.description = description
        self.values = values

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["values"][name]
        except KeyError:
            raise AttributeError(f"the case {self.__dict__.get('description', '')!r} has no {name}") from None


class Draw:
    """Random inputs that depend only on a seed, and not on torch's generators or default dtype."""

    def __init__(self, seed: str) -> None:
        number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8]) >> 1
        self.generator = torch.Generator().manual_seed(number)

    def whole(self, *shape: int, low: int = -9, high: int = 9) -> Tensor:
        """Return whole numbers from low to high as float32, so that sums of their products are exact."""
        return torch.randint(low, high + 1, shape, generator=self.generator).to(torch.float32)

    def normal(self, *shape: int) -> Tensor:
        """Return standard normal float32 numbers."""
        return torch.randn(shape, generator=self.generator, dtype=torch.float32)

    def size(self, low: int, high: int) -> int:
        """Return a whole number from low to high, both included."""
        return int(torch.randint(low, high + 1, (), generator=self.generator))

    def choice(self, options: Sequence[Choice]) -> Choice:
        """Return one of the options."""
        return options[self.size(0, len(options) - 1)]


Cases = Callable[[Draw], Iterable[Case]]
Ahead = Callable[[Case], Sequence[tuple[Any, ...]]]


@dataclass(frozen=True)
class Searchable:
    """Cases, and a function that draws one small case, with which the smallest failing input is searched.

    Args:
        cases: the cases to judge.
        draw_case: draws a case; after a failure Hypothesis chooses what it draws.
    """

    cases: Cases
    draw_case: Callable[[Draw], Case]

    def __call__(self, draw: Draw) -> Iterable[Case]:
        return self.cases(draw)


def given(
    cases: Cases, ahead: Ahead | None = None, further: Sequence[Callable[[Student, Case], object]] = ()
) -> Callable[[Callable[[Any, Any], None]], Callable[[Student, Draw], None]]:
    """Run a test for each case, all in one state of the student's notebook.

    Args:
        cases: takes a `Draw` and yields the cases.
        ahead: takes a case and returns the first calls that the test makes for it, in order, each as
            (name, *arguments) with the same argument objects. The calls of all cases are then made in one round trip,
            which makes right submissions faster. If one of them fails, all are made one by one, as without `ahead`.
        further: questions to the student's code that decide no verdict. They are asked, with further cases, only if
            several misconceptions explain a failure.

    Raises:
        WrongCases: from the test, if some case failed; the first failure decides the message.
    """

    def decorate(test: Callable[[Any, Any], None]) -> Callable[[Student, Draw], None]:
        @functools.wraps(test)
        def run(student: Student, draw: Draw) -> None:
            right = total = 0
            first: tuple[Exception, Case] | None = None
            responds = True
            drawn = cases(draw)
            if ahead is not None:
                drawn = list(drawn)
                student.ahead([call for case in drawn for call in ahead(case)])
            for case in drawn:
                total += 1
                if not responds:
                    continue
                try:
                    test(student, case)
                    right += 1
                except (Absent, GraderError, Pending):
                    raise
                except Exception as error:  # also one that the test is not meant to raise: the engine finds out why
                    first = first or (error, case)
                    responds = not isinstance(error, StudentFault) or error.fault in _SURVIVED
            if first is not None:
                raise WrongCases(*first, right, total)
            if total == 0:
                raise ValueError("given() had no cases")

        run.__dict__["case_test"] = test
        run.__dict__["cases"] = cases
        run.__dict__["further"] = tuple(further)
        run.__dict__["draw_case"] = cases.draw_case if isinstance(cases, Searchable) else None
        # pytest would follow __wrapped__ and ask for a fixture named after the test's own parameter.
        del run.__wrapped__
        return run

    return decorate


class WrongCases(Exception):
    """Some cases of `given` failed: holds the first failure and how many cases were right."""

    def __init__(self, first: Exception, case: Case, right: int, total: int) -> None:
        super().__init__(f"{total - right} of {total} cases")
        self.first = first
        self.case = case
        self.right = right
        self.total = total

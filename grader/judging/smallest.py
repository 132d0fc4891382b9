"""The smallest input that goes wrong, found and shrunk by Hypothesis."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from grader.student import Student, StudentFault
from grader.testing.cases import Case, Choice, Draw
from grader.testing.failures import Mismatch

__all__ = ["find_smallest_failing"]

_TRIES = 400


def find_smallest_failing(
    test: Callable[[Any, Any], None], one: Callable[[Draw], Case], student: Student
) -> tuple[Case, Mismatch] | None:
    """Return the smallest case for which a test fails with a mismatch, None where none is found.

    It depends on nothing but the student's answers: tries are counted, not timed.

    Args:
        test: takes a student and a case.
        one: draws a case; what it draws first and smallest is the simplest.
        student: the state of the work in which the test failed.
    """
    # Imported here: most submissions never need it, and importing it takes longer than grading an item.
    from hypothesis import HealthCheck, Phase, find, settings
    from hypothesis import strategies as st
    from hypothesis.errors import HypothesisException
    from hypothesis.internal.conjecture import providers
    from hypothesis.internal.constants_ast import Constants

    # Hypothesis also tries numbers that it reads in the sources of whichever modules are loaded, and keeps them in a
    # folder where the student works: the same submission would get another report in another process.
    vars(providers)["_get_local_constants"] = Constants

    tries = 0
    failures: list[tuple[Case, Mismatch]] = []

    def fails(case: Case) -> bool:
        nonlocal tries
        tries += 1
        try:
            if tries <= _TRIES:
                test(student, case)
        except Mismatch as mismatch:
            failures.append((case, mismatch))
            return True
        except (AssertionError, StudentFault):
            return False  # another fault than the one that is looked for
        return False

    quiet = settings(
        database=None,
        deadline=None,
        derandomize=True,
        max_examples=_TRIES // 4,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    space = st.composite(lambda draw: one(_Searching(draw)))()
    try:
        smallest = find(space, fails, settings=quiet, random=random.Random(0))
    except HypothesisException:  # nothing fails, or what failed does not always
        return None
    return next((each for each in failures if each[0] is smallest), None)


class _Searching(Draw):
    """Draws what Hypothesis wants to try; its numbers are whole, so that they can be read."""

    def __init__(self, draw: Callable[[Any], Any]) -> None:
        self._draw = draw

    def whole(self, *shape: int, low: int = -9, high: int = 9) -> Tensor:
        from hypothesis import strategies as st

        count = prod(shape)
        entries = self._draw(st.lists(st.integers(low, high), min_size=count, max_size=count))
        return torch.tensor(entries, dtype=torch.float32).reshape(shape)

    def normal(self, *shape: int) -> Tensor:
        return self.whole(*shape)

    def size(self, low: int, high: int) -> int:
        from hypothesis import strategies as st

        return int(self._draw(st.integers(low, high)))

    def choice(self, options: Sequence[Choice]) -> Choice:
        return options[self.size(0, len(options) - 1)]

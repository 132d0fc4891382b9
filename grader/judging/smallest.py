"""Find the smallest input that fails a test, with Hypothesis."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from grader.errors import GraderError
from grader.judging.hypothesis_internals import ignore_local_constants
from grader.student import Student
from grader.testing.cases import Case, Choice, Draw
from grader.testing.failures import Mismatch

__all__ = ["find_smallest_failing"]

_TRIES = 400


def find_smallest_failing(
    test: Callable[[Any, Any], None], draw_case: Callable[[Draw], Case], student: Student
) -> tuple[Case, Mismatch] | None:
    """Return the smallest case that fails a test with a mismatch. Return None if none is found.

    The result depends only on the student's responses: tries are counted, not timed.

    Args:
        test: takes a student and a case.
        draw_case: draws a case; a case of early and small draws counts as simple.
        student: the state of the submission in which the test failed.
    """
    # Imported here because importing Hypothesis takes longer than grading an item, and most submissions never need it.
    from hypothesis import HealthCheck, Phase, find, settings
    from hypothesis import strategies as st
    from hypothesis.errors import HypothesisException

    ignore_local_constants()
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
        except GraderError:
            raise
        except Exception:
            return False  # not the kind of failure that we look for, or an answer that breaks the test
        return False

    quiet = settings(
        database=None,
        deadline=None,
        derandomize=True,
        max_examples=_TRIES // 4,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    space = st.composite(lambda draw: draw_case(_HypothesisDraw(draw)))()
    try:
        # A fixed seed: what is found decides what a student is shown, never a verdict.
        smallest = find(space, fails, settings=quiet, random=random.Random(0))
    except HypothesisException:  # no case fails, or the failure is not reproducible
        return None
    return next((failure for failure in failures if failure[0] is smallest), None)


class _HypothesisDraw(Draw):
    """A Draw whose values Hypothesis chooses. All numbers are whole, so that they are easy to read."""

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

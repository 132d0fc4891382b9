"""The smallest input that goes wrong, found and shrunk by Hypothesis."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from grader.student import Student, StudentFault
from grader.testing.outcome import Mismatch

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from grader.testing.cases import Case

__all__ = ["smallest_failing"]

_TRIES = 400


def smallest_failing(
    test: Callable[[Any, Any], None], strategy: Callable[[], SearchStrategy[Case]], student: Student
) -> tuple[Case, Mismatch] | None:
    """Return the smallest case for which a test fails with a mismatch, None where none is found.

    It depends on nothing but the student's answers: tries are counted, not timed.

    Args:
        test: takes a student and a case.
        strategy: gives the cases to look among, the simple ones near zero.
        student: the state of the work in which the test failed.
    """
    # Imported here: most submissions never need it, and importing it takes longer than grading an item.
    from hypothesis import HealthCheck, Phase, find, settings
    from hypothesis.errors import NoSuchExample

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
    try:
        smallest = find(strategy(), fails, settings=quiet, random=random.Random(0))
    except NoSuchExample:
        return None
    return next((each for each in failures if each[0] is smallest), None)

"""What tests of several folders share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from grader.assignment import Assignment, find_assignment
from grader.sandbox.sandbox import Zygote


@pytest.fixture(scope="session")
def hw2() -> Assignment:
    """The assignment that submissions are graded with."""
    return find_assignment("hw2")


@pytest.fixture(scope="session")
def zygote(hw2: Assignment) -> Iterator[Zygote]:
    """One warm process for all tests: it takes seconds to import the course's packages."""
    with Zygote(hw2.packages) as warm:
        yield warm

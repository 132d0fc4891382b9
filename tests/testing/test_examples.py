"""What an example of a session shows is compared as doctest compares it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from grader.student import Fault, StudentFault
from grader.testing.examples import Shown
from grader.testing.failures import Mismatch, Pending


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (4, "4"),
        ("a", "'a'"),
        (None, ""),
        (0.1 + 0.2, "0.30000000000000004"),
        (np.array([1.0, 2.0]), "array([1., 2.])"),
        (np.float64(2.5), "np.float64(2.5)"),
        (np.float64(2.5), "2.5"),
        ([np.bool_(True), np.int64(1)], "[True, 1]"),
        (True, "1"),
    ],
)
def test_a_value_is_shown_as_a_session_shows_it(value: Any, expected: str) -> None:
    with Shown(expected) as show:
        show(value)


@pytest.mark.parametrize(("value", "expected"), [(4.0, "4"), (None, "None"), (4, ""), ([1, 2], "[1,2]"), (1, "True2")])
def test_what_is_shown_otherwise_is_wrong(value: Any, expected: str) -> None:
    with pytest.raises(Mismatch, match=r"^value: expected .+, found "), Shown(expected) as show:
        show(value)


def test_options_are_those_of_doctest() -> None:
    with Shown("[0, 1, ..., 9]", "ELLIPSIS") as show:
        show(list(range(10)))
    with Shown("[1,\n    2]", "NORMALIZE_WHITESPACE") as show:
        show([1, 2])
    with pytest.raises(Mismatch), Shown("[0, ..., 9]") as show:
        show(list(range(10)))


def test_what_is_printed_is_shown_too() -> None:
    with Shown("1\n2\n'a'") as show:
        for number in (1, 2):
            print(number)  # noqa: T201
        show("a")


def test_an_exception_is_compared_by_its_last_line() -> None:
    fault = StudentFault(Fault.RAISED, "raises ValueError: negative", "ValueError")
    for error in (ValueError("negative"), fault):
        with Shown(raises="ValueError: negative"):
            raise error
        with Shown("", "IGNORE_EXCEPTION_DETAIL", raises="ValueError: something else"):
            raise error
        wrong = "expected ValueError: positive, found ValueError: negative"
        with pytest.raises(Mismatch, match=wrong), Shown(raises="ValueError: positive"):
            raise error
    with pytest.raises(Mismatch, match="expected ValueError: no, found nothing"), Shown(raises="ValueError: no"):
        pass


def test_an_exception_that_no_example_shows_goes_on() -> None:
    with pytest.raises(ZeroDivisionError), Shown("1") as show:
        show(1 / 0)
    with pytest.raises(Pending), Shown(raises="ValueError: negative"):
        raise Pending("a person has to look")


def test_a_mistake_quotes_the_example_as_it_stood() -> None:
    square = [0, 1, 4].__getitem__
    with pytest.raises(Mismatch, match=r"^square\(2\): expected 5, found 4$") as raised, Shown("5") as show:
        show(square(2))
    assert raised.value.evidence == {"expected": "5\n", "found": "4\n"}

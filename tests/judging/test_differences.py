"""A response of another kind than the right one is described in a sentence."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from grader.judging.differences import differ_in_value, find_difference
from grader.judging.responses import Kept, ParameterShapes, Response
from grader.student import Fault

X = torch.ones(2, 3)
WEIGHT = ParameterShapes(weight=(3, 2), bias=(3,))


@pytest.mark.parametrize(
    ("found", "right", "sentence"),
    [
        (None, (X, X), "f returns nothing; two values are expected"),
        (None, X, "f returns nothing; a tensor of shape (2, 3) is expected"),
        ((1, 2, 3), X, "f returns a list or tuple of three values; a tensor of shape (2, 3) is expected"),
        ((X, X, X), (X, X), "f returns three values; two values are expected"),
        ((), (X,), "f returns no values; one value is expected"),
        ((X, None), (X, X), "f returns two values, of which value 2 is nothing; a tensor of shape (2, 3) is expected"),
        (X.T, X, "f returns a tensor of shape (3, 2); a tensor of shape (2, 3) is expected"),
        (X > 0, X, "f returns a tensor of True and False, of shape (2, 3); a tensor of shape (2, 3) is expected"),
        (X.long(), X, "f returns a tensor of whole numbers, of shape (2, 3); a tensor of shape (2, 3) is expected"),
        (
            X.to(torch.complex64),
            X,
            "f returns a tensor of complex numbers, of shape (2, 3); a tensor of shape (2, 3) is expected",
        ),
        (X.double(), X, ""),
        ("text", 1.0, "f returns a text; a number is expected"),
        (True, 1, "f returns True or False; a whole number is expected"),
        (2, 1, ""),
        ({"a": 1}, {"a": 1, "b": 2}, "f returns a dict with the keys a; a dict with the keys a, b is expected"),
        ({}, {"a": 1}, "f returns an empty dict; a dict with the keys a is expected"),
        (
            {"a": None},
            {"a": 1},
            "f returns a dict with the keys a, whose a is nothing; a whole number is expected",
        ),
        (Kept("function"), X, "f returns a function; a tensor of shape (2, 3) is expected"),
        (
            ParameterShapes(W=(3, 2)),
            WEIGHT,
            "f returns the parameters W; the parameters weight, bias are expected",
        ),
        (
            ParameterShapes(weight=(2, 3), bias=(3,)),
            WEIGHT,
            "f returns a weight of shape (2, 3); shape (3, 2) is expected",
        ),
        ((Fault.RAISED, "raises"), X, ""),
    ],
)
def test_the_first_difference_in_kind_is_told(found: Any, right: Any, sentence: str) -> None:
    assert find_difference([Response("f returns", found)], [Response("f returns", right)]) == sentence


def test_the_last_response_is_looked_at_first_and_names_of_parameters_last() -> None:
    names = Response("f() has", ParameterShapes(W=(3, 2)), tells_mistakes=False), Response("f() has", WEIGHT)
    early, late = (Response("f returns", None), Response("f returns", X)), (Response("g is", 1), Response("g is", X))
    same = Response("h returns", 2), Response("h returns", 2)

    def told(*pairs: tuple[Response, Response]) -> str:
        return find_difference([pair[0] for pair in pairs], [pair[1] for pair in pairs])

    assert told(names, early, late).startswith("g is")
    assert told(names, early, same).startswith("f returns")
    assert told(names, same).startswith("f() has")
    assert told(same) == ""


def test_numbers_that_differ_are_a_difference_in_value_only() -> None:
    one, other = [Response("f returns", X)], [Response("f returns", X + 1)]
    assert find_difference(one, other) == ""
    assert differ_in_value(one, other)
    assert not differ_in_value(one, one)


def test_a_sentence_is_short_whatever_the_names_are() -> None:
    found = {f"{'k' * 1000}{number}": 1 for number in range(1000)}
    assert len(find_difference([Response("f returns", found)], [Response("f returns", {})])) < 500

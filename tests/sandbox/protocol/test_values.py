"""Python's own values are the same after they have been packed, sent and unpacked."""

from __future__ import annotations

import collections
import enum
import math
from collections.abc import Iterator
from typing import Any

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from grader.sandbox.protocol.encoding import decode, encode
from grader.sandbox.protocol.values import pack_value, unpack_value


class Refused(Exception):
    """The object is not a value."""


class Colour(enum.IntEnum):
    RED = 3


class Word(str):
    """A text whose `str()` is another text."""

    __slots__ = ()

    def __str__(self) -> str:
        return "a lie"


def refuse(thing: Any) -> Any:
    raise Refused(type(thing).__name__)


def across(thing: Any) -> Any:
    return unpack_value(decode(encode(pack_value(thing, refuse))), refuse)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.just(...)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(SCALARS, inner) | st.sets(SCALARS),
    max_leaves=20,
)


def described(value: Any) -> Any:
    """Return a value's text with the type of everything in it; a set has no order."""
    entries = list(value.items()) if isinstance(value, dict) else value
    if isinstance(entries, list | tuple | set):
        inner = [described(entry) for entry in entries]
        return type(value).__name__, sorted(map(str, inner)) if isinstance(value, set) else inner
    return type(value).__name__, repr(value)


@given(VALUES)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    assert described(across(value)) == described(value)


@pytest.mark.parametrize(
    "array",
    [
        numpy.arange(6).reshape(2, 3).T,
        numpy.array([]),
        numpy.array(2.5),
        numpy.float32(0.1),
        numpy.bool_(True),
        numpy.uint32(4_000_000_000),
        numpy.array([1, 2], dtype=">i4"),
        numpy.array(["a", "합"]),
        numpy.array([[True], [False]]),
        numpy.array([1 + 2j]),
    ],
    ids=repr,
)
def test_an_array_of_numpy_stays_one(array: Any) -> None:
    found = across(array)
    assert type(found) is type(array)
    assert (found.dtype.name, found.shape) == (array.dtype.name, array.shape)
    assert found.tolist() == array.tolist()


def test_a_tensor_stays_a_tensor_and_shares_no_memory() -> None:
    tensor = torch.ones(2, 3, dtype=torch.bfloat16)
    found = across([tensor])[0]
    assert torch.equal(found, tensor)
    assert found.dtype is tensor.dtype
    found.zero_()
    assert tensor.sum() == 6


def test_what_adds_to_a_value_is_left_behind() -> None:
    assert repr(across([Colour.RED, Word("truth"), collections.Counter("aab")])) == "[3, 'truth', {'a': 2, 'b': 1}]"


def test_iterators_can_be_gone_through_once_and_views_keep_their_length() -> None:
    found = across([map(str, [1, 2]), (each for each in "ab"), {1: 2}.keys(), {1: 2}.items(), range(3)])
    assert isinstance(found[0], Iterator)
    assert (list(found[0]), list(found[1])) == (["1", "2"], ["a", "b"])
    assert (len(found[2]), list(found[3]), found[4]) == (1, [(1, 2)], range(3))


def test_no_number_is_lost() -> None:
    assert math.isnan(across(math.nan))
    assert across(2**200) == 2**200
    assert math.copysign(1, across(-0.0)) == -1


@pytest.mark.parametrize("thing", [object(), len, iter(int, 1), [0] * 10_001, numpy.array([object()])], ids=type)
def test_what_is_no_value_or_too_large_is_kept_where_it_is(thing: Any) -> None:
    with pytest.raises(Refused):
        across(thing)
    itself = across([])
    itself.append(itself)
    with pytest.raises(Refused, match="list"):
        across(itself)


@pytest.mark.parametrize(
    "data",
    [
        (), ("none such",), (1, 2), ("dict", 1), ("dict", ("tuple", ("list",), 1)), ("set", ("list",)),
        ("array", 1, "int64"), ("tensor", "text"), ("texts", "U", False, (7,), ("a",)), ("bytes", 256),
        ("range", 1, 2, 0), ("number", (), "object"),
    ],
)  # fmt: skip
def test_what_no_value_becomes_is_refused(data: Any) -> None:
    with pytest.raises((AttributeError, IndexError, Refused, TypeError, ValueError)):
        unpack_value(data, refuse)

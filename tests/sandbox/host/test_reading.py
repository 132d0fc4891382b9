"""Reading names, and calling their values, with Python's own types."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy
import pytest

from grader.sandbox.host.sandbox import Zygote
from grader.sandbox.host.snapshot_student import SnapshotStudent
from grader.student import Fault, StudentFault
from tests.support.sandbox_runs import ran

CELL = """
import numpy as np
words, matrix, nothing = {"a": [1, (2,)]}, np.eye(2), ...
class Account:
    def __init__(self, owner): self.owner, self.history = owner, []
    def deposit(self, amount): self.history.append(amount); return self
    def __repr__(self): return f"Account({self.owner!r})"
def kinds(*things): return [type(each).__name__ for each in things]
def sort(numbers): numbers.sort()
def owner_of(account): return account.owner
def fails(): raise KeyError("missing")
def liar():
    class Same:
        def __eq__(self, other): return True
    return Same()
def f(): return 1
"""


@pytest.fixture(scope="module")
def student(zygote: Zygote) -> Iterator[SnapshotStudent]:
    with ran(zygote, CELL) as run, run.student("f") as opened:
        yield opened


def test_a_variable_is_read_as_what_it_is(student: SnapshotStudent) -> None:
    assert student.read("words") == {"a": [1, (2,)]}
    assert isinstance(student.read("matrix"), numpy.ndarray)
    assert student.read("nothing") is ...


def test_a_function_is_given_what_a_test_gives_it(student: SnapshotStudent) -> None:
    given: tuple[Any, ...] = ([], (), {1}, {2: 3}, numpy.ones(2), numpy.int64(1), 1.0, None)
    result, after = student.read("kinds").apply(given, {})
    assert result == ["list", "tuple", "set", "dict", "ndarray", "int64", "float", "NoneType"]
    assert after is None


def test_what_a_call_does_to_its_arguments_is_told(student: SnapshotStudent) -> None:
    assert student.read("sort").apply(([3, 1, 2],), {}) == (None, (([1, 2, 3],), {}))


def test_an_object_stays_and_has_attributes_and_methods(student: SnapshotStudent) -> None:
    account, _ = student.read("Account").apply(("Kim",), {})
    same, _ = account.attribute("deposit").apply((5,), {})
    assert account.handle == same.handle
    assert (account.attribute("owner"), account.attribute("history")) == ("Kim", [5])
    assert student.read("owner_of").apply((account,), {}) == ("Kim", None)
    assert account.attribute("__repr__").apply((), {}) == ("Account('Kim')", None)


def test_an_exception_tells_its_name(student: SnapshotStudent) -> None:
    with pytest.raises(StudentFault) as raised:
        student.read("fails").apply((), {})
    assert (raised.value.fault, raised.value.raised) == (Fault.RAISED, "KeyError")
    with pytest.raises(StudentFault) as raised:
        student.read("nowhere")
    assert raised.value.fault is Fault.MISSING


def test_an_object_that_equals_everything_equals_nothing_here(student: SnapshotStudent) -> None:
    result, _ = student.read("liar").apply((), {})
    assert result != 4


def test_what_cannot_cross_is_not_given(student: SnapshotStudent) -> None:
    with pytest.raises(TypeError, match="a function cannot be given to the student's code"):
        student.read("kinds").apply((lambda: 1,), {})

"""Tests that were written for the student's own process, run against a real one."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from grader.judging.interruption import limit_computing
from grader.judging.local import LocalStudent
from grader.judging.responses import RecordingStudent
from grader.sandbox.host.sandbox import Zygote
from grader.student import Fault, StudentFault
from grader.testing.failures import Mismatch, Pending
from grader.testing.foreign_tests import as_written
from tests.support.sandbox_runs import ran

CELL = """
import numpy as np, torch
numbers = [1, 2]
class Account:
    def __init__(self, owner): self.owner, self.history = owner, []
    def deposit(self, amount):
        if amount < 0: raise ValueError("negative")
        self.history.append(amount)
        return sum(self.history)
    def __repr__(self): return f"Account({self.owner!r})"
    def __len__(self): return len(self.history)
def same(x): return x
def sort(numbers): numbers.sort()
def zero(X): X[...] = 0
def rename(account, names): names["old"] = account.owner; account.owner = names["new"]
def adder(n): return lambda x: x + n
def nothing(x): pass
def fails(kind):
    import builtins
    raise getattr(builtins, kind)("why")
def liar(*_):
    class Same:
        def __eq__(self, other): return True
        __ne__ = __sub__ = __rsub__ = lambda self, other: 0
        def equal(self, other): return True
        def all(self): return True
    return Same()
def f(): return 1
"""


@pytest.fixture(scope="module")
def run(zygote: Zygote) -> Iterator[Callable[[Callable[..., None]], None]]:
    def run_in_a_fresh_process(test: Callable[..., None]) -> None:
        with ran_once.student("f") as student:
            test(RecordingStudent(student))

    with ran(zygote, CELL) as ran_once:
        yield run_in_a_fresh_process


Run = Callable[[Callable[..., None]], None]


def in_a_file(path: Path, name: str, *statements: str) -> Callable[..., None]:
    """Return a test of a file that pytest did not rewrite, as those of rubrics."""
    path.write_text(f"def test({name}):\n" + "".join(f"    {each}\n" for each in statements))
    test: Callable[..., None] = runpy.run_path(str(path))["test"]
    return as_written()(test)


def test_what_a_test_says_about_values_holds_here_as_there(run: Run) -> None:
    @as_written()
    def right(numbers: Any, same: Any, sort: Any, zero: Any, adder: Any) -> None:
        assert numbers == [1, 2]
        for value in ([1], (1,), {1}, {2: [3]}, "a", 2.5, None, b"a", range(3)):
            assert same(value) == value
            assert type(same(value)) is type(value)
        np.testing.assert_allclose(same(np.eye(2)), np.eye(2))
        assert torch.equal(same(torch.ones(2)), torch.ones(2))
        assert adder(3)(4) == 7
        mine = [3, 1, 2]
        assert sort(mine) is None
        assert mine == [1, 2, 3]
        for array in (np.ones(3), torch.ones(3)):
            zero(array)
            assert array.sum() == 0

    run(right)


def test_objects_are_made_called_and_looked_at(run: Run) -> None:
    @as_written("owner", "deposit", "history")
    def right(Account: Any, rename: Any, same: Any) -> None:
        account = Account("Kim")
        assert account.deposit(2) == 2
        assert account.deposit(amount=3) == 5
        assert (account.owner, account.history, len(account)) == ("Kim", [2, 3], 2)
        assert repr(account) == str(account) == "Account('Kim')"
        assert isinstance(account, Account)
        assert not isinstance(3, Account)
        assert same([account]) == [account]
        assert Account("Kim") != account
        names = {"new": "Lee"}
        rename(account, names)
        assert (names, account.owner) == ({"new": "Lee", "old": "Kim"}, "Lee")

    run(right)


@pytest.mark.parametrize("kind", ["ValueError", "KeyError", "ZeroDivisionError", "OSError", "AssertionError"])
def test_an_exception_is_caught_by_its_class(run: Run, kind: str) -> None:
    @as_written()
    def right(fails: Any) -> None:
        for caught in (kind, "Exception"):
            with pytest.raises(getattr(__import__("builtins"), caught), match="why"):
                fails(kind)

    @as_written()
    def not_caught(fails: Any) -> None:
        fails(kind)

    run(right)
    with pytest.raises(StudentFault, match=f"^raises {kind}: ") as raised:
        run(not_caught)
    assert (type(raised.value), raised.value.fault) == (StudentFault, Fault.RAISED)


def test_an_assertion_without_words_is_quoted(run: Run, tmp_path: Path) -> None:
    without_words = in_a_file(tmp_path / "one.py", "same", "assert same(1) == [", "    2,", "]")
    with_words = in_a_file(tmp_path / "two.py", "same", "assert same(1) == 2, 'two was asked for'")
    with pytest.raises(Mismatch, match=r"^this does not hold: same\(1\) == \[2\]$"):
        run(without_words)
    with pytest.raises(Mismatch, match=r"^two was asked for$"):
        run(with_words)


def test_what_a_wrong_answer_makes_a_test_do_is_a_mistake_of_the_answer(run: Run) -> None:
    @as_written()
    def wrong(nothing: Any) -> None:
        assert nothing([1])[0] == 1

    with pytest.raises(Mismatch, match=r"^nothing\(\[1\]\)\[0\] == 1 ends in TypeError: 'NoneType' object is not"):
        run(wrong)


def test_an_object_that_equals_everything_earns_nothing(run: Run, tmp_path: Path) -> None:
    equal = in_a_file(tmp_path / "equal.py", "liar", "assert liar() == 4")

    @as_written()
    def near(liar: Any) -> None:
        assert abs(liar() - 4) < 1e-6

    @as_written()
    def arrays(liar: Any) -> None:
        assert np.allclose(liar(), np.ones(2))

    @as_written()
    def asked_itself(liar: Any) -> None:
        assert liar().equal(torch.ones(2))

    @as_written()
    def not_equal(liar: Any) -> None:
        assert not (torch.ones(2) == liar()).all()

    with pytest.raises(Mismatch, match=r"this does not hold: liar\(\) == 4"):
        run(equal)
    for test in (near, arrays, asked_itself):
        with pytest.raises(Pending, match="a Same object, which stays where it is: a person has to look"):
            run(test)
    with pytest.raises((AttributeError, Mismatch, Pending)):
        run(not_equal)


def test_what_cannot_be_given_to_the_student_is_not_decided(run: Run) -> None:
    @as_written()
    def gives_a_function(same: Any) -> None:
        same(lambda: 1)

    @as_written()
    def writes_an_attribute(Account: Any) -> None:
        Account("Kim").owner = "Lee"

    with pytest.raises(Pending, match="a function cannot be given to the student's code: a person has to look"):
        run(gives_a_function)
    with pytest.raises(Pending, match="a person has to look"):
        run(writes_an_attribute)


def test_a_name_that_is_not_defined_is_missing(run: Run) -> None:
    @as_written()
    def asks(none_such: Any) -> None:
        raise AssertionError("never reached")

    with pytest.raises(StudentFault) as raised:
        run(asks)
    assert raised.value.fault is Fault.MISSING


def test_a_namespace_of_this_process_answers_as_the_sandbox_does() -> None:
    @as_written("owner", "deposit")
    def right(Account: Any, numbers: Any, rename: Any, sort: Any) -> None:
        account, mine, names = Account("Kim"), [3, 1, 2], {"new": "Lee"}
        sort(mine)
        rename(account, names)
        assert (numbers, mine, names) == ([1, 2], [1, 2, 3], {"new": "Lee", "old": "Kim"})
        assert (account.owner, account.deposit(2), len(account), repr(account)) == ("Lee", 2, 1, "Account('Lee')")
        with pytest.raises(ValueError, match="negative"):
            account.deposit(-1)

    namespace: dict[str, Any] = {"__name__": "homework"}
    exec(CELL, namespace)
    right(RecordingStudent(LocalStudent(namespace)))


def test_a_test_that_an_answer_keeps_from_ending_is_lost(tmp_path: Path) -> None:
    test = in_a_file(tmp_path / "test_endless.py", "left", "count = left()", "while count > 0:", "    pass")
    with pytest.raises(Mismatch, match="does not come to an end"), limit_computing(0.2):
        test(RecordingStudent(LocalStudent({"left": lambda: 1.0})))

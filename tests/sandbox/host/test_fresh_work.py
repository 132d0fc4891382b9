"""Work whose states are opened in runs of their own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from grader.sandbox.host.fresh_work import FreshWork
from grader.sandbox.host.sandbox import Zygote
from grader.sandbox.host.snapshot_work import SnapshotWork
from grader.student import Fault, StudentFault
from tests.support.sandbox_runs import Ran, ran

_COUNTS = """
import os
def f():
    with open("/tmp/calls", "a") as file:
        file.write("x")
    return os.path.getsize("/tmp/calls")
"""


@pytest.fixture
def listed(zygote: Zygote) -> Iterator[Ran]:
    with ran(zygote, _COUNTS, names=("f",), deferred_snapshots=True) as run:
        yield run


def _make_work(zygote: Zygote, listed: Ran, cell: str, seconds: float = 60) -> FreshWork:
    @contextmanager
    def run() -> Iterator[SnapshotWork]:
        with ran(zygote, cell, names=("f",), deferred_snapshots=True) as made:
            yield made.work

    return FreshWork(listed.work, run, time.monotonic() + seconds)


def test_each_state_is_opened_in_a_run_of_its_own(zygote: Zygote, listed: Ran) -> None:
    work = _make_work(zygote, listed, _COUNTS)
    assert work.definitions(["f"]) == listed.work.definitions(["f"])
    for definition in (*work.definitions(["f"]), *work.definitions(["f"])):
        with work.open(definition, shared=True) as student:
            assert [student.f(), student.f()] == [1, 2]


def test_a_definition_that_is_not_there_again_is_missing(zygote: Zygote, listed: Ran) -> None:
    work = _make_work(zygote, listed, "x = 1")
    with pytest.raises(StudentFault) as raised, work.open(work.definitions(["f"])[0]):
        raise AssertionError("nothing can be opened")
    assert raised.value.fault is Fault.MISSING


def test_nothing_is_opened_once_the_time_is_over(zygote: Zygote, listed: Ran) -> None:
    work = _make_work(zygote, listed, _COUNTS, seconds=-1)
    with pytest.raises(StudentFault) as raised, work.open(work.definitions(["f"])[0]):
        raise AssertionError("nothing can be opened")
    assert raised.value.fault is Fault.TIMED_OUT

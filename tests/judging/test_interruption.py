"""A test that computes without end is interrupted, in whatever thread it runs."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable

import pytest

from grader.judging.interruption import limit_computing
from grader.testing.failures import Overtime


def in_this_thread(work: Callable[[], None]) -> None:
    work()


def in_another_thread(work: Callable[[], None]) -> None:
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


def compute_for_ever() -> None:
    while True:
        pass


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def interrupted(work: Callable[[], None]) -> None:
    with pytest.raises(Overtime), limit_computing(0.05):
        work()


@pytest.mark.parametrize("run", [in_this_thread, in_another_thread])
def test_endless_computing_is_interrupted(run: Callable[[Callable[[], None]], None]) -> None:
    run(lambda: interrupted(compute_for_ever))


def test_what_catches_every_exception_is_interrupted_too() -> None:
    def catch() -> None:
        while True:
            with contextlib.suppress(Exception):
                compute_for_ever()

    interrupted(catch)


def test_what_catches_the_interruption_itself_is_interrupted_again() -> None:
    caught: list[BaseException] = []

    def catch_once() -> None:
        try:
            compute_for_ever()
        except BaseException as error:
            caught.append(error)
        compute_for_ever()

    interrupted(catch_once)
    assert isinstance(caught[0], Overtime)


def test_an_interruption_that_a_callback_swallows_is_not_reported_and_comes_again() -> None:
    reported = sys.unraisablehook

    class Referred:
        """Something that a weak reference can point to."""

    def compute_in_a_callback() -> None:
        referred = Referred()
        reference = weakref.ref(referred, lambda _: compute_for_ever())
        del referred
        assert reference() is None
        compute_for_ever()

    interrupted(compute_in_a_callback)
    wait_until(lambda: sys.unraisablehook == reported)


def test_waiting_is_no_computing() -> None:
    with limit_computing(0.05):
        time.sleep(0.2)


def test_nothing_is_interrupted_afterwards() -> None:
    before = threading.active_count()
    for _ in range(20):
        with pytest.raises(Overtime), limit_computing(0):
            compute_for_ever()
        sum(range(100_000))
    wait_until(lambda: threading.active_count() <= before)


def test_a_function_can_be_traced_afterwards() -> None:
    script = """
import sys
from grader.judging.interruption import limit_computing
from grader.testing.failures import Overtime
try:
    with limit_computing(0):
        while True:
            pass
except Overtime:
    pass
sys.settrace(lambda *_: None)
(lambda: None)()
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)

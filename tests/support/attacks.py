"""The form of an attack, its limits, and a watch over grading that hangs."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Protocol

from grader.results.report import Report
from grader.sandbox.protocol.limits import Limits

__all__ = ["LIMITS", "Attack", "Hung", "coming_back"]

_LONGEST = 60  # seconds after which grading hangs; none comes near it

LIMITS = Limits(
    cell_seconds=3,
    submission_seconds=40,
    memory_bytes=1200 * 2**20,
    processes=64,
    written_bytes=64 * 2**20,
    cell_output_bytes=100_000,
    notebook_output_bytes=400_000,
    replacements=3,
    test_seconds=1,
    judge_seconds=6,
    test_memory_bytes=400 * 2**20,
)


class Attack(Protocol):
    """Grades a notebook of these cells, and requires that nothing of it is left and the next one is graded normally."""

    def __call__(
        self, *cells: str, left_out: frozenset[str] = frozenset(), carried_forward: str = "none", **limits: Any
    ) -> Report: ...


class Hung(BaseException):
    """Grading did not come back."""


@contextmanager
def coming_back() -> Iterator[None]:
    """Break off what hangs, so that the test fails instead of waiting for ever."""

    def break_off(signum: int, frame: FrameType | None) -> None:
        raise Hung(f"grading did not come back within {_LONGEST} s")

    before = signal.signal(signal.SIGALRM, break_off)
    signal.alarm(_LONGEST)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)

"""The checks that every attack goes through."""

from __future__ import annotations

import dataclasses
import json
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Protocol

import jsonschema
import pytest

from grader.assignment import Assignment
from grader.grading.grade import grade
from grader.results.report import Report, load_report_schema
from grader.sandbox.host.sandbox import Zygote
from grader.sandbox.protocol.limits import Limits
from tests.support.notebooks import CORR2D, CORR2D_POINTS, submission
from tests.support.traces import remaining, traces

_LONGEST = 60  # seconds after which grading is considered to hang; it normally takes much less
_LARGEST_REPORT = 2_000_000  # characters
# The message of a cell that did not find the code it attacks, because a name has changed. Such a test checks nothing.
_MISSED = re.compile(
    "StopIteration|ImportError|ModuleNotFoundError: No module named 'grader|AttributeError: module 'grader"
)

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
    """Grades a notebook with these cells, and checks that it leaves no trace and the next one is graded normally."""

    def __call__(self, *cells: str, left_out: frozenset[str] = frozenset(), **limits: Any) -> Report: ...


class Hung(BaseException):
    """Grading did not return in time."""


@contextmanager
def coming_back() -> Iterator[None]:
    """Interrupt grading that hangs, so that the test fails instead of waiting for ever."""

    def break_off(signum: int, frame: FrameType | None) -> None:
        raise Hung(f"grading did not come back within {_LONGEST} s")

    before = signal.signal(signal.SIGALRM, break_off)
    signal.alarm(_LONGEST)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def attack(zygote: Zygote, hw2: Assignment) -> Attack:
    """Grade a hostile notebook, with all checks around it."""
    assert zygote.missing == {}

    def run(*cells: str, left_out: frozenset[str] = frozenset(), **limits: Any) -> Report:
        assignment = dataclasses.replace(hw2, limits=dataclasses.replace(LIMITS, **limits))
        before = traces()
        with coming_back():
            report = grade(submission(*cells), assignment, zygote, left_out=left_out)
        assert remaining(before) == frozenset()
        assert [cell.message for cell in report.cells if _MISSED.match(cell.message)] == []
        text = report.to_json()
        assert len(text) < _LARGEST_REPORT
        jsonschema.validate(json.loads(text), load_report_schema())
        with coming_back():
            following = grade(submission(CORR2D), dataclasses.replace(hw2, limits=LIMITS), zygote)
        assert following.score == CORR2D_POINTS
        assert [cell.status for cell in following.cells] == ["ok"]
        return report

    return run


@pytest.fixture
def probe(attack: Attack) -> Callable[[str], list[str]]:
    """Run one cell that solves no item, and return its status and message."""

    def run(cell: str) -> list[str]:
        report = attack(cell)
        assert report.score == 0
        return [report.cells[0].status, report.cells[0].message]

    return run

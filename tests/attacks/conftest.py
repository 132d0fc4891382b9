"""The checks that every attack goes through."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from grader.assignment import Assignment, CarriedForward
from grader.grading.grade import grade
from grader.results.report import Report, load_report_schema
from grader.sandbox.host.required_layers import accept_any_layers, require_layers
from grader.sandbox.host.sandbox import Zygote
from grader.training.probing import start_prober
from tests.support.attacks import LIMITS, Attack, coming_back
from tests.support.leftovers import remaining, traces
from tests.support.notebooks import CORR2D, CORR2D_POINTS, submission

_LARGEST_REPORT = 2_000_000  # characters
# The exception of a cell that did not find the code it attacks, because a name has changed. Such a test checks nothing.
_MISSED = re.compile(
    "StopIteration|ImportError|ModuleNotFoundError: No module named 'grader|AttributeError: module 'grader"
)


@pytest.fixture
def attack(zygote: Zygote, hw2: Assignment) -> Attack:
    """Grade a hostile notebook, with all checks around it."""
    assert zygote.missing == {}

    def run(
        *cells: str, left_out: frozenset[str] = frozenset(), carried_forward: str = "none", **limits: Any
    ) -> Report:
        assignment = dataclasses.replace(
            hw2, limits=dataclasses.replace(LIMITS, **limits), carried_forward=CarriedForward(carried_forward)
        )
        start_prober()  # it stays, for the next submission
        accept_layers = accept_any_layers if left_out else require_layers
        before = traces()
        with coming_back():
            report = grade(submission(*cells), assignment, zygote, left_out=left_out, accept_layers=accept_layers)
        assert remaining(before) == frozenset()
        assert [stop.error for cell in report.cells for stop in cell.stops if _MISSED.match(stop.error)] == []
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

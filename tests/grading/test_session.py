"""`GradingSession`: what one process keeps warm, and when it starts anew."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.errors import SandboxFault
from grader.grading.session import GradingSession, join_reports
from grader.models.recipe import Mode
from grader.results.report import CellResult, File, ItemResult, Report, Verdict
from grader.sandbox.host.sandbox import Zygote
from tests.support.notebooks import submission
from tests.support.paths import ASSIGNMENTS

DOUBLED = str(ASSIGNMENTS / "doubled")
RIGHT = submission("def double(X): return X + X", "def halve(X): return X / 2")
WRONG = submission("def double(X): return X", "def halve(X): return X / 2")


@pytest.fixture(scope="module")
def grading() -> Iterator[GradingSession]:
    """One session for the module, because each starts a warm process, which takes seconds."""
    with GradingSession() as made:
        made.warm_up([DOUBLED])
        yield made


def warm_process(grading: GradingSession) -> int:
    (zygote,) = grading._zygotes.values()
    assert isinstance(zygote, Zygote)
    return zygote.pid


def test_one_submission_is_graded_after_the_other_by_the_same_warm_process(grading: GradingSession) -> None:
    first = warm_process(grading)
    assert [grading.grade(each, DOUBLED).score for each in (RIGHT, WRONG, RIGHT)] == [3, 1, 3]
    assert warm_process(grading) == first


def test_only_the_items_that_are_named_are_judged(grading: GradingSession) -> None:
    assert [item.id for item in grading.grade(RIGHT, DOUBLED, only={"halve"}).items] == ["halve"]


def test_a_warm_process_that_died_is_replaced(grading: GradingSession) -> None:
    killed = warm_process(grading)
    os.kill(killed, signal.SIGKILL)
    os.waitid(os.P_PID, killed, os.WEXITED | os.WNOWAIT)
    assert grading.grade(RIGHT, DOUBLED).score == 3
    assert warm_process(grading) != killed


@pytest.mark.slow
def test_a_fault_of_the_grader_is_raised_and_the_next_submission_has_new_processes(grading: GradingSession) -> None:
    def kill_the_warm_process(what: str) -> None:
        if what.startswith("running"):
            os.kill(warm_process(grading), signal.SIGKILL)

    with pytest.raises(SandboxFault):
        grading.grade(RIGHT, DOUBLED, progress=kill_the_warm_process)
    assert grading.grade(RIGHT, DOUBLED).score == 3


def test_a_rubric_that_changes_is_read_again(grading: GradingSession, tmp_path: Path) -> None:
    folder = tmp_path / "changing"
    shutil.copytree(DOUBLED, folder)
    before = grading.grade(RIGHT, str(folder))
    tests = folder / "test_doubled.py"
    tests.write_text(tests.read_text().replace("2 * case.X", "3 * case.X"))
    after = grading.grade(RIGHT, str(folder))
    assert (before.score, after.score) == (3, 1)
    assert after.revision == grading.find_revision(str(folder)) != before.revision


def test_neither_importing_nor_making_one_imports_torch() -> None:
    making = "from grader.grading.session import GradingSession; GradingSession()"
    code = f"import sys; {making}; print('torch' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ended.stdout == "False\n"


def test_how_long_it_may_say_nothing_follows_from_the_assignment_s_limits(grading: GradingSession) -> None:
    none, full = (grading.compute_longest_silence("hw2", mode, 1) for mode in (Mode.NONE, Mode.FULL))
    assert grading.compute_longest_silence(DOUBLED, Mode.NONE, 1) == 60
    assert none < full < grading.compute_longest_silence("hw2", Mode.FULL, 2)


def result(name: str, verdict: Verdict) -> ItemResult:
    return ItemResult(name, "1", name, float(verdict is Verdict.PASSED), 1, verdict, verdict.value)


def report(*items: ItemResult, status: str = "ok", limits: tuple[str, ...] = (), seconds: float = 1.0) -> Report:
    timing = {"cells_seconds": seconds / 2, "total_seconds": seconds, "cells": [{"status": status}]}
    cells = (CellResult("homework.ipynb", 0, status),)
    files = (File("homework.ipynb", "0" * 64),)
    return Report("hw", "Homework", "revision", files, items, cells, limits_hit=limits, timing=timing)


def test_trainings_are_joined_in_the_rubric_s_order() -> None:
    first, last = result("first", Verdict.PASSED), result("last", Verdict.FAILED)
    part = report(first, result("trained", Verdict.PENDING), last, status="training withheld", limits=("memory",))
    trainings = report(result("trained", Verdict.PASSED), limits=("time", "memory"), seconds=5)
    whole = join_reports(part, trainings)
    assert whole.items == (first, result("trained", Verdict.PASSED), last)
    assert [cell.status for cell in whole.cells] == ["ok"]
    assert whole.limits_hit == ("memory", "time")
    assert whole.timing == {"cells_seconds": 3, "total_seconds": 6, "cells": [{"status": "ok"}]}
    assert (whole.score, whole.pending_points) == (2, 0)

"""Cells that do not come back."""

from __future__ import annotations

import pytest

from tests.support.attacks import Attack
from tests.support.notebooks import CORR2D, CORR2D_POINTS

_HANGS = {
    "a loop": "while True: pass",
    "a loop that catches everything": """
        while True:
            try:
                while True: pass
            except BaseException:
                pass
        """,
    "SIGINT ignored": "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(3600)",
    "SIGINT blocked": "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nsignal.sigwait([40])",
    "stopped": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
    "the interpreter's lock held in C": "x = pow(7, 10**9)",
    "a regular expression": "import re\nre.match(r'(a+)+$', 'a' * 64 + 'b')",
    "a lock taken twice": "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()",
    "a pipe nobody writes to": "import os\nos.read(os.pipe()[0], 1)",
    "a child waited for": "import os, time\nif os.fork() == 0: time.sleep(3600)\nos.wait()",
    "input": "import sys\nsys.__stdin__.buffer.read()\nwhile True: pass",
}


@pytest.mark.parametrize("hang", _HANGS.values(), ids=_HANGS.keys())
def test_a_hanging_cell_is_ended_and_keeps_what_was_solved_around_it(attack: Attack, hang: str) -> None:
    report = attack("x = 1", hang, CORR2D, cell_seconds=1)
    assert [cell.status for cell in report.cells] == ["ok", "timed out", "ok"]
    assert report.score == CORR2D_POINTS
    assert "homework.ipynb, cell 2: timed out" in report.limits_hit


@pytest.mark.slow
def test_a_submission_ends_when_its_time_is_used_up(attack: Attack) -> None:
    report = attack(CORR2D, *["while True: pass"] * 9, cell_seconds=4, submission_seconds=15)
    assert report.score == CORR2D_POINTS
    assert report.cells[-1].status == "not run"
    assert any("the submission ran past" in limit for limit in report.limits_hit)


@pytest.mark.slow
def test_judging_many_slow_definitions_ends_as_well(attack: Attack) -> None:
    """A hundred definitions that each use up a test's time would take it a hundred times for each item."""
    report = attack(
        *["import time\ndef corr2d(X, K):\n    time.sleep(3600)"] * 60,
        test_seconds=1,
        submission_seconds=20,
        cell_seconds=10,
    )
    assert report.score == 0

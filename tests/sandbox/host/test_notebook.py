"""Running a notebook with one snapshot at its end: what is restored there, and when a second run is needed."""

from __future__ import annotations

import dataclasses
import time

import pytest

from tests.support.hostile_cells import TRACKER_CLASS
from tests.support.sandbox_runs import LIMITS, Ran, Run, fault_of


def processes(made: Ran) -> int:
    return len({snapshot.pid for snapshot in made.execution.snapshots})


def test_what_was_defined_and_defined_again_takes_one_process(run: Run) -> None:
    made = run(
        "def g(): return 1\ndef f(): return g()",
        "def g(): return 2",
        "def f(): return 10 * g()",
        "del f",
        names=("f", "g"),
        deferred_snapshots=True,
    )
    assert [made.call("f", number=number) for number in (0, 1)] == [1, 20]
    assert [made.call("g", number=number) for number in (0, 1)] == [1, 2]
    assert made.call("g", at_end=True) == 2
    assert processes(made) == 1
    assert all(snapshot.is_exact for snapshot in made.execution.snapshots)


def test_one_process_answers_for_several_checkpoints_in_turn(run: Run) -> None:
    made = run("def f(): return 1", "def f(): return 2", "def f(): return 3", "x = 1", deferred_snapshots=True)
    answers = []
    for number in (0, 2, 1, 0):
        with made.work.open(made.definition("f", number), shared=True) as student:
            answers.append(student.f())
    assert answers == [1, 3, 2, 1]


def test_a_state_that_was_changed_in_place_is_not_exact(run: Run) -> None:
    made = run("kept = [1]\ndef f(): return kept[0]", "kept[0] = 2", names=("f",), deferred_snapshots=True)
    assert [snapshot.is_exact for snapshot in made.execution.snapshots] == [False, True]


@pytest.mark.parametrize(
    "killer",
    ["import os; os._exit(0)", "import ctypes; ctypes.string_at(0)", "import os; os.kill(os.getpid(), 9)"],
)
def test_a_notebook_that_kills_its_kernel_is_run_with_a_snapshot_of_each_definition(run: Run, killer: str) -> None:
    made = run(
        "def f(): return 1",
        f"def f(): return 2\n{killer}",
        "def g(): return 3",
        names=("f", "g"),
        deferred_snapshots=True,
    )
    assert made.statuses() == ["ok", "ended the kernel", "ok"]
    assert [made.call("f", number=0), made.call("f", number=1), made.call("g")] == [1, 2, 3]
    assert processes(made) == 4  # one of them is the end


@pytest.mark.slow
def test_what_was_tried_takes_nothing_from_the_submission_s_time(run: Run) -> None:
    limits = dataclasses.replace(LIMITS, submission_seconds=10)
    made = run("def f(): return 1", "import time\ntime.sleep(100)", limits=limits, deferred_snapshots=True)
    assert made.statuses() == ["ok", "timed out"]
    assert made.execution.limits_hit[0] == "the submission ran past its 10 s"
    assert made.call("f") == 1


def test_what_was_tried_leaves_no_trace(run: Run) -> None:
    made = run("print('once')", "shape = (1, 2)", "import os; os._exit(0)", "x = 1", deferred_snapshots=True)
    assert [value for _, name, value in made.recorded() if name == "shape"] == [(1, 2)]
    assert [output["text"] for output in made.showed(0)] == ["once\n"]
    assert made.execution.limits_hit == []


def test_without_the_tracker_s_line_all_is_run_again_and_ends(run: Run) -> None:
    silent = (
        "tracker = next(c.__self__ for c in get_ipython().events.callbacks['post_run_cell'] if hasattr(c, '__self__')"
        f" and type(c.__self__).__name__ == '{TRACKER_CLASS}')\ntracker._packets.socket.close()"
    )
    made = run("def f(): return 1", silent, "def f(): return 2", deferred_snapshots=True)
    assert made.statuses() == ["ok", "ok", "ok"]
    assert made.call("f") == 1


@pytest.mark.slow
def test_as_many_checkpoints_as_snapshots_are_judged(run: Run) -> None:
    made = run(*["def f(): return 1\ndef f(): return 2"] * 51, deferred_snapshots=True)
    assert made.execution.limits_hit == ["more than 100 definitions; later ones are not judged"]
    assert len(made.execution.snapshots) == 100


def test_what_is_written_further_down_is_missing_until_then(run: Run) -> None:
    made = run("def f(X): return helper(X)", "def helper(X): return X + 1", "done = True", deferred_snapshots=True)
    assert fault_of(made.call, "f", 1)[1] == "raises NameError: name 'helper' is not defined"
    assert made.call("f", 1, at_end=True) == 2


def test_the_kernel_itself_is_the_snapshot_of_its_end(run: Run) -> None:
    made = run("import os\npid = os.getpid()\ndef f(): return os.getppid() == pid", deferred_snapshots=True)
    assert made.call("f", at_end=True) is True


def test_a_thread_that_goes_on_is_in_no_snapshot(run: Run) -> None:
    made = run(
        "import threading\nturns = 0",
        "def turn():\n    global turns\n    while True:\n        turns += 1",
        "thread = threading.Thread(target=turn)\nthread.start()\ndef f(): return turns",
        deferred_snapshots=True,
    )
    assert made.statuses() == ["ok"] * 3
    assert made.call("f", at_end=True) == made.call("f", at_end=True) > 0


def test_a_timer_that_was_set_does_not_end_the_snapshot(run: Run) -> None:
    made = run("import signal\nsignal.setitimer(signal.ITIMER_REAL, 0.5)", "def f(): return 1", deferred_snapshots=True)
    time.sleep(1)
    assert made.call("f", at_end=True) == 1
    assert processes(made) == 1


@pytest.mark.parametrize("child", ["sleep 1000", "true"])
def test_children_that_were_left_are_gone_before_the_first_test(run: Run, child: str) -> None:
    made = run(
        f"import os, subprocess\nchildren = [subprocess.Popen({child.split()!r}) for _ in range(5)]",
        "def stat(pid): return open(f'/proc/{pid}/stat').read().split('(')[1].replace(')', ' ').split()",
        f"def f(): return sum(pid.isdigit() and stat(pid)[0] == {child.split()[0]!r} for pid in os.listdir('/proc'))",
        deferred_snapshots=True,
    )
    assert made.call("f", at_end=True) == 0
    assert processes(made) == 1


def test_a_kernel_that_cannot_tell_of_its_end_goes_on(run: Run) -> None:
    tracker = "next(c.__self__ for c in get_ipython().events.callbacks['post_run_cell'] if hasattr(c, '__self__'))"
    look = f"tracker = {tracker}\ntracker._packets.socket.shutdown(2)\nassert tracker.end(0) is None"
    made = run("def f(): return 1", look, "x = 1")
    assert made.statuses() == ["ok"] * 3
    assert made.call("f") == 1

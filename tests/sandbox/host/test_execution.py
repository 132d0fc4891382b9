"""Running cells: what a cell costs that breaks its kernel, and what is kept."""

from __future__ import annotations

import dataclasses

import nbformat
import pytest

from grader.sandbox.host.sandbox import Zygote
from grader.submission.submission import read_notebook
from tests.support.notebooks import notebook_bytes
from tests.support.sandbox_runs import LIMITS, Run, ran_notebooks

SHORT = dataclasses.replace(LIMITS, cell_seconds=2)

KILLING = {
    "os._exit": ("import os; os._exit(0)", "ended the kernel"),
    "os._exit with a status": ("import os; os._exit(3)", "ended the kernel"),
    "SIGKILL": ("import os; os.kill(os.getpid(), 9)", "ended the kernel"),
    "SIGTERM": ("import os, time; os.kill(os.getpid(), 15); time.sleep(5)", "ended the kernel"),
    "a segmentation fault": ("import ctypes; ctypes.string_at(0)", "ended the kernel"),
    "abort": ("import os; os.abort()", "ended the kernel"),
    "exit()": ("exit()", None),
    "quit": ("quit", None),
}


@pytest.mark.parametrize(("killer", "status"), KILLING.values(), ids=KILLING.keys())
def test_a_cell_that_ends_the_kernel_costs_only_itself(run: Run, killer: str, status: str | None) -> None:
    made = run(
        "state = 1\ndef f(): return state",
        f"def lost(): return 1\n{killer}",
        "state += 1\ndef g(): return state",
        "import asyncio\nawait asyncio.sleep(0.4)  # the kernel looks after itself here\ndef h(): return f() + g()",
        names=("f", "g", "h", "lost"),
        limits=SHORT,
    )
    assert [made.statuses()[cell] for cell in (0, 2, 3)] == ["ok", "ok", "ok"]
    assert status is None or made.statuses()[1] == status
    assert [made.call(name) for name in ("f", "g", "h")] == [1, 2, 4]
    assert made.call("f", at_end=True) == 2


@pytest.mark.parametrize("leaver", ["import sys; sys.exit(0)", "raise SystemExit", "1 / 0"])
def test_a_cell_that_raises_is_no_more_than_that(run: Run, leaver: str) -> None:
    made = run(f"def f(): return 1\n{leaver}", "def f(): return 2", limits=SHORT)
    assert made.statuses() == ["raised", "ok"]
    assert [made.call("f", number=number) for number in (0, 1)] == [1, 2]


HANGING = {
    "an endless loop": "while True: pass",
    "catching KeyboardInterrupt": "while True:\n    try:\n        time.sleep(100)\n    except BaseException: pass",
    "stopping itself": "os.kill(os.getpid(), signal.SIGSTOP)",
}


@pytest.mark.parametrize("hanging", HANGING.values(), ids=HANGING.keys())
def test_a_cell_that_hangs_costs_only_itself(run: Run, hanging: str) -> None:
    made = run(
        "import os, signal, time\nstate = 1\ndef f(): return state",
        hanging,
        "state += 1\ndef g(): return state",
        names=("f", "g"),
        limits=SHORT,
    )
    assert made.statuses() == ["ok", "timed out", "ok"]
    assert "2 s" in made.messages()[1]
    assert [made.call("f"), made.call("g"), made.call("f", at_end=True)] == [1, 2, 2]
    assert made.execution.limits_hit == ["homework.ipynb, cell 2: timed out"]


def test_a_limit_need_not_be_a_whole_number_of_seconds(run: Run) -> None:
    limits = dataclasses.replace(LIMITS, cell_seconds=1.5)
    made = run("def f(): return 1", "import time\ntime.sleep(100)", "x = f()", limits=limits)
    assert made.statuses() == ["ok", "timed out", "ok"]
    assert "1.5 s" in made.messages()[1]


def test_a_cell_that_can_be_interrupted_keeps_what_it_defined(run: Run) -> None:
    made = run("def f(): return 1\nimport time\ntime.sleep(100)", "x = f()", limits=SHORT)
    assert made.statuses() == ["timed out", "ok"]
    assert made.call("f") == 1


@pytest.mark.parametrize(
    "hungry",
    [
        "kept = b'x' * (3 * 2**30)",
        "import torch\nkept = torch.ones(3 * 2**28)",
        "kept = []\nwhile True: kept.append(bytearray(b'x' * 2**26))",
    ],
    ids=["at once", "as a tensor", "gradually"],
)
def test_a_cell_that_takes_too_much_memory_costs_only_itself(run: Run, hungry: str) -> None:
    limits = dataclasses.replace(LIMITS, memory_bytes=1200 * 2**20)
    made = run("def f(): return 1", hungry, "kept = None\ndef g(): return f()", names=("f", "g"), limits=limits)
    assert made.statuses() == ["ok", "out of memory", "ok"]
    assert [made.call("f"), made.call("g")] == [1, 1]


def test_shared_memory_beyond_the_bound_is_out_of_memory(zygote: Zygote, run: Run) -> None:
    limits = dataclasses.replace(LIMITS, memory_bytes=1000 * 2**20)
    hungry = "import mmap\nm = mmap.mmap(-1, 2**30)\nfor page in range(0, len(m), 4096): m[page] = 1"
    made = run("def f(): return 1", hungry, "def g(): return 2", names=("f", "g"), limits=limits)
    if not next(layer for layer in made.sandbox.layers if layer.name == "memory cgroup").on:
        pytest.skip("only a control group counts shared memory")
    assert made.statuses() == ["ok", "out of memory", "ok"]
    assert [made.call("f"), made.call("g")] == [1, 2]


def test_the_kernel_is_replaced_so_often_and_no_more(run: Run) -> None:
    killers = ["import os; os._exit(0)"] * 3
    limits = dataclasses.replace(LIMITS, replacements=2)
    made = run("def f(): return 1", *killers, "def g(): return 2", names=("f", "g"), limits=limits)
    assert made.statuses() == ["ok", *["ended the kernel"] * 3, "not run"]
    assert made.execution.limits_hit == ["homework.ipynb: the kernel was replaced 2 times, and no more"]
    assert made.call("f") == 1
    assert made.defined("g") == []


def test_as_many_cells_may_kill_the_kernel_as_it_is_replaced(run: Run) -> None:
    made = run("def f(): return 1", *["import os; os._exit(0)"] * 3, "def g(): return 2", names=("f", "g"))
    assert made.statuses() == ["ok", *["ended the kernel"] * 3, "ok"]
    assert [made.call("f"), made.call("g")] == [1, 2]


@pytest.mark.parametrize("last", ["import os; os._exit(0)", "import ctypes; ctypes.string_at(0)"])
def test_a_last_cell_that_breaks_the_kernel_takes_no_end_state_away(run: Run, last: str) -> None:
    made = run("def f(): return helper()", "def helper(): return 3", last, limits=SHORT)
    assert made.statuses()[:2] == ["ok", "ok"]
    assert made.call("f", at_end=True) == 3


def test_a_model_under_another_name_is_found_though_the_last_cell_breaks_the_kernel(run: Run) -> None:
    made = run("def make_lenet(): return 1", "import os; os._exit(0)", names=("LeNet",))
    assert [candidate.name for candidate in made.work.candidates()] == ["make_lenet"]


@pytest.mark.parametrize(
    "sweep",
    [
        "import os\nfor pid in range(2, 400):\n    if str(pid) not in os.listdir('/proc/self/task'):\n"
        "        try: os.kill(pid, 9)\n        except OSError: pass",
        "import os, signal\nos.kill(-1, signal.SIGKILL)",
    ],
    ids=["one by one", "all at once"],
)
def test_a_cell_that_kills_other_processes_is_blamed_and_snapshots_come_back(run: Run, sweep: str) -> None:
    made = run("def f(): return 1", "def f(): return 2", sweep, "def g(): return 3", names=("f", "g"))
    assert made.statuses() == ["ok", "ok", "broke the run", "ok"]
    assert [made.call("f", number=0), made.call("f", number=1), made.call("g")] == [1, 2, 3]


@pytest.mark.slow
def test_the_time_of_the_submission_ends_the_run_and_keeps_what_was_defined(run: Run) -> None:
    limits = dataclasses.replace(LIMITS, submission_seconds=10)
    made = run(
        "def f(): return 1", "import time\ntime.sleep(100)", "def g(): return 2", names=("f", "g"), limits=limits
    )
    assert made.statuses() == ["ok", "timed out", "not run"]
    assert made.execution.limits_hit[0] == "the submission ran past its 10 s"
    assert made.call("f") == 1


def test_notebooks_of_one_submission_do_not_see_each_other_s_names(zygote: Zygote) -> None:
    first = read_notebook("first.ipynb", notebook_bytes("def f(): return 'first'\nopen('left', 'w').close()"))
    second = read_notebook(
        "second.ipynb", notebook_bytes("seen = 'f' in globals()\nimport os; os._exit(0)", "seen = 0")
    )
    third = read_notebook("third.ipynb", notebook_bytes("def f(): return 'third', 'g' in globals()"))
    with ran_notebooks(zygote, (first, second, third)) as made:
        assert made.statuses("second.ipynb") == ["ended the kernel", "ok"]
        when_made = [each.file for each in made.work.definitions(["f"]) if not each.at_end]
        assert when_made == ["first.ipynb", "third.ipynb"]
        assert [made.call("f", number=number) for number in (0, 1)] == ["first", ("third", False)]


def _notebook(*cells: nbformat.NotebookNode) -> bytes:
    text: str = nbformat.writes(nbformat.v4.new_notebook(cells=list(cells)))
    return text.encode()


@pytest.mark.parametrize(
    "content",
    [
        _notebook(),
        _notebook(nbformat.v4.new_markdown_cell("# only words")),
        _notebook(nbformat.v4.new_code_cell(""), nbformat.v4.new_code_cell("  \n")),
    ],
    ids=["empty", "markdown", "blank code"],
)
def test_a_notebook_without_code_is_run_in_no_time(zygote: Zygote, content: bytes) -> None:
    with ran_notebooks(zygote, (read_notebook("empty.ipynb", content),)) as made:
        assert made.execution.cells == {}
        assert made.work.definitions(["f"]) == []
        assert made.work.candidates() == []


def test_cells_are_numbered_among_all_cells(zygote: Zygote) -> None:
    content = _notebook(nbformat.v4.new_markdown_cell("# one"), nbformat.v4.new_code_cell("def f(): return 1"))
    with ran_notebooks(zygote, (read_notebook("mixed.ipynb", content),)) as made:
        assert made.defined("f") == [1]
        assert list(made.execution.cells) == [("mixed.ipynb", 1)]


def test_two_hundred_cells_run_in_order(run: Run) -> None:
    made = run("n = 0", *["n += 1"] * 198, "def f(): return n")
    assert made.statuses() == ["ok"] * 200
    assert made.call("f") == 198


@pytest.mark.slow
def test_only_so_many_definitions_are_kept(run: Run) -> None:
    made = run(*[f"def f(): return {n}" for n in range(110)])
    assert made.statuses() == ["ok"] * 110
    assert len(made.defined("f")) == 100
    assert made.execution.limits_hit == ["more than 100 definitions; later ones are not judged"]
    assert made.call("f", number=99) == 99


def test_the_seed_is_the_same_in_every_run(run: Run) -> None:
    cells = (
        "import random, numpy, torch",
        "x = torch.rand(2)\ny = numpy.random.rand(2)\nz = (random.getrandbits(30),)",
    )

    def drawn() -> list[object]:
        return [value.tolist() if hasattr(value, "tolist") else value for _, _, value in run(*cells).recorded()]

    assert drawn() == drawn()

"""Where kernels that are forked from a warm process used to differ from a stock one: warnings, tracebacks, children."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from grader.sandbox.host.sandbox import Zygote
from tests.support.sandbox_runs import Ran, Run, ran

CELLS = {
    "a warning": "import warnings\nwarnings.warn('mind the step')",
    "a deprecation": "warnings.warn('old', DeprecationWarning)",
    "a warning of torch": "import torch\ntorch.nn.MSELoss()(torch.zeros(3, 1), torch.zeros(3));",
    "the same again": "torch.nn.MSELoss()(torch.zeros(3, 1), torch.zeros(3));",
    "an error": "def share(cake, guests):\n    return cake / guests\nshare(1, 0)",
    "an endless recursion": "def down(n):\n    return down(n + 1)\ndown(0)",
    "a refused data set": "import torchvision\ntorchvision.datasets.CIFAR10('data')",
    "a module": "%%writefile squares.py\ndef square(number):\n    return number ** 2",
    "spawn": """
import multiprocessing, squares
with multiprocessing.get_context('spawn').Pool(1) as pool:
    print(pool.map(squares.square, [2, 3]))
""",
    "forkserver": """
with multiprocessing.get_context('forkserver').Pool(1) as pool:
    print(pool.map(squares.square, [4]))
""",
    "a function of the notebook": """
def shout(): print('never')
process = multiprocessing.get_context('spawn').Process(target=shout)
process.start(); process.join()
print(process.exitcode)
""",
    "a module like one of Python's": "%%writefile queue.py\nraise RuntimeError('shadowed')",
    "its import": "import importlib, queue\nimportlib.reload(queue).Queue;",
    "a stored value": "kept = 5\n%store kept\ndel kept\n%store -r kept\nkept",
    "the folders that were left": "%dhist",
    "a display": "bar = display('half', display_id='bar')",
    "a later update": "bar.update('done')",
    "an update of two cells": "display('again', display_id='bar')\nbar.update('all')",
    "a table": "import pandas\npandas.DataFrame({'a': [1]})",
    "a sleeping thread": "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,)).start()",
    "a printing thread": "threading.Timer(0, print, ['later']).start(); time.sleep(0.2)",
}


@pytest.fixture(scope="module")
def made(zygote: Zygote) -> Iterator[Ran]:
    with ran(zygote, *CELLS.values(), names=("share",)) as run:
        yield run


def texts(made: Ran, cell: str) -> str:
    outputs = made.showed(list(CELLS).index(cell))
    return "".join(
        "".join([output.get("text", ""), *output.get("traceback", ()), output.get("data", {}).get("text/plain", "")])
        for output in outputs
    )


def test_every_cell_ends_as_in_jupyter(made: Ran) -> None:
    raised = [name for name, status in zip(CELLS, made.statuses(), strict=True) if status != "ok"]
    assert raised == ["an error", "an endless recursion", "a refused data set"]


def test_warnings_are_shown_once_a_place(made: Ran) -> None:
    assert "UserWarning: mind the step" in texts(made, "a warning")
    assert "DeprecationWarning: old" in texts(made, "a deprecation")
    assert texts(made, "a warning of torch").count("Using a target size") == 1
    assert texts(made, "the same again") == ""


def test_another_kernel_warns_anew(run: Run) -> None:
    for _ in range(2):
        assert "Using a target size" in texts(run(*list(CELLS.values())[:3]), "a warning of torch")


def test_a_traceback_shows_the_lines_around_and_leaves_the_middle_of_a_long_one_out(made: Ran) -> None:
    trace = texts(made, "an error")
    assert "----> 3 share(1, 0)" in trace
    assert "      1 def share(cake, guests):\n----> 2     return cake / guests" in trace
    assert len(texts(made, "an endless recursion")) < 2_000
    assert "grader" not in texts(made, "a refused data set")


def test_tracebacks_stay_cheap_if_nobody_sees_them(zygote: Zygote) -> None:
    with ran(zygote, "get_ipython().InteractiveTB.mode == 'Plain' or 1 / 0", seen=False) as run:
        assert run.statuses() == ["ok"]


def test_children_import_from_the_working_folder_and_fail_at_once_otherwise(made: Ran) -> None:
    assert texts(made, "spawn") == "[4, 9]\n"
    assert texts(made, "forkserver") == "[16]\n"
    assert texts(made, "a function of the notebook").endswith("1\n")


def test_stored_values_and_folders_are_the_sandbox_s_own(made: Ran) -> None:
    assert texts(made, "a stored value").endswith("5")
    assert texts(made, "the folders that were left").count("/home/student") == 1


def test_an_output_is_updated_by_a_later_cell(made: Ran) -> None:
    assert texts(made, "a display") == "'all'"
    assert texts(made, "an update of two cells") == "'all'"
    assert "<td>1</td>" in made.showed(list(CELLS).index("a table"))[0]["data"]["text/html"]


def test_threads_that_never_end_cost_neither_the_run_nor_its_snapshots(made: Ran) -> None:
    assert texts(made, "a printing thread") == "later\n"
    assert made.call("share", 6, 3) == 2

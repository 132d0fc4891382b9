"""The definition tracker: which cells get a snapshot, and which values are noted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from grader.sandbox.host.sandbox import Zygote
from grader.student import Fault, StudentFault
from tests.support.sandbox_runs import Ran, Run, fault_of, ran

DEFINITIONS = (
    "import functools, torch\nfrom torch import nn\nfrom d2l import torch as d2l\nfrom IPython import get_ipython",
    "def plain(): return 1",  # 1
    "other = 2",
    "def plain(): return 2",  # 3
    "plain = plain",
    "class Net(nn.Module): pass",  # 5
    "@d2l.add_to_class(Net)\ndef forward(self, X): return X",  # 6
    "class Child(Net): pass",  # 7
    "Net.extra = lambda self: 1",  # 8: changes Net, and Child through it
    "from d2l.torch import corr2d",
    "pool2d = nn.MaxPool2d(3)",
    "LeNet = nn.Sequential(nn.Linear(1, 1))",  # 11
    "part = functools.partial(max, 3)",  # 12
    "tiny = lambda X: X",  # 13
    "del tiny",
    "tiny = 5",
    "def early(): return 1\nraise RuntimeError('afterwards')",  # 16
    "%%time\ndef timed(): return 1",  # 17
    "%%capture\nprint('unseen')\ndef captured(): return 1",  # 18
    "if True:\n    def inside(): return 1",  # 19
    "exec('def executed(): return 1')",  # 20
    "get_ipython().run_cell('def nested(): return 1')\nafterwards = 1",  # 21
    "corr2d = d2l.corr2d\ndef wrapper(X): return d2l.corr2d(X, X)",  # 22
    "jitted = torch.jit.script(nn.Linear(1, 1))",  # 23
    "class Callable:\n    def __call__(self): return 1\ninstance = Callable()",  # 24
    "def twice(): return 1\ndef twice(): return 2",  # 25
    "_hidden = 1\ndef unasked(): return 1",
)
NAMES = (
    *("plain", "Net", "Child", "corr2d", "pool2d", "LeNet", "part", "tiny", "early", "timed", "captured", "inside"),
    *("executed", "nested", "wrapper", "jitted", "instance", "twice", "missing"),
)


@pytest.fixture(scope="module")
def watched(zygote: Zygote) -> Iterator[Ran]:
    with ran(zygote, *DEFINITIONS, names=NAMES) as run:
        assert [cell for cell, status in enumerate(run.statuses()) if status != "ok"] == [16]
        yield run


@pytest.mark.parametrize(
    ("name", "cells"),
    {
        "plain": [1, 3],
        "Net": [5, 6, 8],
        "Child": [7, 8],
        "corr2d": [],
        "pool2d": [],
        "LeNet": [11],
        "part": [12],
        "tiny": [13],
        "early": [16],
        "timed": [17],
        "captured": [18],
        "inside": [19],
        "executed": [20],
        "nested": [21],
        "wrapper": [22],
        "jitted": [23],
        "instance": [24],
        "twice": [25, 25],
        "missing": [],
        "unasked": [],
    }.items(),
)
def test_a_name_is_defined_where_it_is_bound_or_changed(watched: Ran, name: str, cells: list[int]) -> None:
    assert watched.defined(name) == cells


@pytest.mark.parametrize(
    ("name", "package"),
    [("corr2d", "d2l.torch"), ("pool2d", "torch.nn.modules.pooling"), ("plain", None), ("missing", None)],
)
def test_an_imported_name_is_not_a_definition(watched: Ran, name: str, package: str | None) -> None:
    assert watched.work.imported_from(name) == package


def test_each_definition_is_kept_as_it_was(watched: Ran) -> None:
    assert [watched.call("plain", number=number) for number in (0, 1)] == [1, 2]
    assert watched.call("tiny", 3) == 3
    assert [watched.call("twice", number=number) for number in (0, 1)] == [1, 2]
    with watched.student("Net", 0) as student:
        assert fault_of(student.Net(), 1)[0] is Fault.RAISED
    with watched.student("Net", 1) as student:
        assert student.Net()(1) == 1


def test_a_deleted_name_is_gone_at_the_end(watched: Ran) -> None:
    at_end = {name for each in watched.work.definitions(NAMES) if each.at_end for name in each.names}
    assert "tiny" not in at_end
    assert {"plain", "Net", "LeNet", "early", "nested"} <= at_end


def test_a_definition_at_the_end_may_use_what_was_written_further_down(run: Run) -> None:
    made = run("def f(X): return helper(X)", "def helper(X): return X + 1", "done = True")
    assert fault_of(made.call, "f", 1) == (Fault.RAISED, "raises NameError: name 'helper' is not defined")
    assert made.call("f", 1, at_end=True) == 2
    assert made.definition("f", at_end=True).cell == 0


def test_a_helper_may_follow_in_the_same_cell(run: Run) -> None:
    made = run("def f(): return helper()\ndef helper(): return 1")
    assert fault_of(made.call, "f")[0] is Fault.RAISED
    assert made.call("f", at_end=True) == 1


def test_what_a_statement_defined_before_the_cell_broke_is_kept(run: Run) -> None:
    made = run("def f(): return 1\nimport os; os._exit(0)", "x = 1")
    assert made.statuses() == ["ended the kernel", "ok"]
    assert made.call("f") == 1


def test_a_definition_keeps_its_helper_when_that_is_redefined(run: Run) -> None:
    made = run("def helper(X): return X\ndef f(X): return helper(X)", "def helper(X): return None", "x = 1")
    assert made.call("f", 3) == 3
    assert made.call("f", 3, at_end=True) is None


def test_a_notebook_that_breaks_the_tracker_still_runs(run: Run) -> None:
    made = run("def f(): return 1", "get_ipython().events.callbacks['post_run_cell'].clear()", "def f(): return 2")
    assert made.statuses() == ["ok", "ok", "ok"]
    assert made.defined("f") == [0, 2]


VALUES = (
    "import numpy as np\nimport torch\nfrom torch import nn",
    "X = torch.ones(6, 8)\nX[:, 2:6] = 0\nX",  # 1
    "X.shape",
    "X[0, 0] = 5",  # 3: changed in place
    "same = X",
    "conv = nn.Conv2d(1, 1, kernel_size=(1, 2), bias=False)\nlazy = nn.LazyConv2d(1, 3)",  # 5
    "with torch.no_grad():\n    conv.weight[:] = torch.tensor([1.0, -1.0])",  # 6
    "array = np.arange(3.0)\nlarge, text, number = torch.zeros(2000), 'text', 3",  # 7
    "K = torch.tensor([[1.0, -1.0]])\nraise RuntimeError('later')",  # 8
    "nn.Linear(1, 1, bias=False)",  # 9
    "torch.zeros(5000)",
    "shape = (3, 4)\n_private = torch.ones(1)\nTrue",  # 11
)


@pytest.fixture(scope="module")
def noted(zygote: Zygote) -> Iterator[dict[tuple[int, str], Any]]:
    with ran(zygote, *VALUES) as run:
        yield {(cell, name): value for cell, name, value in run.recorded()}


def test_small_values_are_noted_where_they_appear_or_change(noted: dict[tuple[int, str], Any]) -> None:
    assert sorted(noted) == [
        *((1, "X"), (1, "_"), (2, "_"), (3, "X"), (4, "same")),
        *((5, "conv"), (6, "conv"), (7, "array"), (8, "K"), (9, "_"), (11, "shape")),
    ]


def test_noted_values_are_as_they_were_after_the_cell(noted: dict[tuple[int, str], Any]) -> None:
    assert noted[1, "X"][0].tolist() == [1, 1, 0, 0, 0, 0, 1, 1]
    assert noted[3, "X"][0, 0] == 5
    assert noted[2, "_"] == (6, 8)
    assert noted[11, "shape"] == (3, 4)
    assert torch.equal(noted[7, "array"], torch.arange(3.0, dtype=torch.float64))
    assert torch.equal(noted[8, "K"], torch.tensor([[1.0, -1.0]]))


def test_a_small_layer_is_noted_again_when_it_was_trained(noted: dict[tuple[int, str], Any]) -> None:
    before, after = noted[5, "conv"]["weight"], noted[6, "conv"]["weight"]
    assert isinstance(before, Tensor)
    assert not torch.equal(before, after)
    assert after.flatten().tolist() == [1, -1]
    assert set(noted[9, "_"]) == {"weight"}


def test_values_beyond_those_of_one_cell_are_noted_after_the_next(run: Run) -> None:
    made = run("import torch\nfor n in range(100):\n    globals()[f'x{n}'] = torch.tensor([float(n)])", "pass")
    assert {name for _, name, _ in made.recorded()} >= {f"x{n}" for n in range(100)}


def test_opening_no_state_offers_only_what_was_noted(run: Run) -> None:
    made = run("import torch\nX = torch.ones(1)")
    with made.work.open(None) as student:
        assert [each.name for each in student.recorded()] == ["X"]
        with pytest.raises(StudentFault):
            _ = student.X

"""Cells that are run again with other data: what was computed follows the data, what was typed in stays."""

from __future__ import annotations

import ast
import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from grader.models.rerun import EVERY_NAME, FILE_PREFIX, RerunCell, RerunNotes, Substitution, rerun_cells

DATA, OTHER = torch.arange(6.0).reshape(2, 3), torch.tensor([[4.0, 1, 1], [0, 2, 7]])
PAIR = torch.tensor([[1.0, -1.0]])
MADE = """import numpy as np, torch
X = torch.arange(6.).reshape(2, 3)
A = np.arange(6.).reshape(2, 3)
w = torch.tensor([[1., -1.]])"""


def rerun(*cells: str, wanted: str = "Y", pairs: list[Substitution] | None = None, **options: Any) -> RerunNotes:
    """Run these cells below those that make the data, and note a name in the last one."""
    sources = [MADE, *cells]
    return rerun_cells(
        [RerunCell(number, source, ast.parse(source).body) for number, source in enumerate(sources)],
        {"__name__": "__main__"},
        [Substitution(DATA, OTHER)] if pairs is None else pairs,
        {len(sources) - 1: [wanted]},
        read=lambda value: None if value is None else torch.as_tensor(value).tolist(),
        is_own=lambda file: file.startswith(FILE_PREFIX),
        **options,
    )


def last(notes: RerunNotes) -> Any:
    return notes.values[-1][2] if notes.values else None


COMPUTED = {
    "from a name": "Y = X + 1",
    "from a view": "Y = X.reshape(1, 6)[0].view(2, 3) + 1",
    "from an array": "Y = A + 1",
    "from memory that several entries share": "B = torch.tensor([0., 1]).expand(1, 2)\nY = X + 1",
    "from data that a function makes": (
        "def make():\n    x = torch.zeros(6)\n    x += torch.arange(6)\n    return x.view(2, 3)\nY = make() + 1"
    ),
    "inside one function": (
        "def g(x): return x + 1\ndef f():\n    x = torch.arange(6.).reshape(2, 3)\n    return g(x)\nY = f()"
    ),
    "from an argument": "def f(x):\n    return x + 1\nY = f(torch.arange(6.).view(2, 3))",
    "from what a function returns": "def make(): return torch.arange(6.).reshape(2, 3)\nY = make() + 1",
    "in a method": "class C:\n    def __init__(self, x): self.x = x\n    def f(self): return self.x + 1\nY = C(X).f()",
    "in a block": "if True:\n    x = torch.arange(6.).reshape(2, 3)\n    Y = x + 1",
    "below a line that raises": "undefined\nY = X + 1",
    "beside a line that is no statement": "if True:\n    Y = X + 1\n    return Y",
    "below an import that fails": "from math import nothing, pi\nY = X + pi / pi",
    "by a function that changes its argument": "def f(x):\n    x += 1\n    return x\nY = f(X)",
    "of whole numbers": "Y = torch.arange(6).reshape(2, 3)\nY = Y + 1",
    "in inference mode": "with torch.inference_mode():\n    x = torch.arange(6.).view(2, 3)\nY = x + 1",
}


@pytest.mark.parametrize("way", COMPUTED)
def test_what_was_computed_follows_the_data(way: str) -> None:
    assert last(rerun(COMPUTED[way])) == (OTHER + 1).tolist()


@pytest.mark.parametrize(
    "cell", ["Y = torch.tensor([[1., 2, 3], [4, 5, 6]])", "Y = 0 * X + torch.arange(1., 7).view(2, 3)"]
)
def test_what_was_typed_in_stays(cell: str) -> None:
    notes = rerun(cell)
    assert last(notes) == (DATA + 1).tolist()
    assert notes.substituted


def test_every_value_of_a_wanted_name_is_noted_once_and_no_other() -> None:
    notes = rerun("Y = 1", "Y = X[0, 0]\nZ = 3\nY = 7\nX", wanted="Y")
    assert notes.values == [(2, "Y", 4.0), (2, "Y", 7)]
    assert rerun("X.sum()\nX * 2", wanted="_").values == [(1, "_", 15.0), (1, "_", (2 * OTHER).tolist())]


@pytest.mark.filterwarnings("ignore:`torch.jit.script`:FutureWarning")
def test_only_what_the_student_s_own_functions_return_is_noted_as_returned() -> None:
    cells = "def f(x): return x + 1\nY = f(X)\nY = f(X)\nY = torch.add(X, 2)\nX * 3\nZ = f(X[:, :2])"
    assert rerun(cells, entries=6).returned == [(OTHER + 1).tolist()]
    scripted = "@torch.jit.script\ndef f(x):\n    return x + 1\nY = f(X)"
    assert (OTHER + 1).tolist() in rerun(scripted, entries=6).returned


def test_an_argument_has_other_data_only_while_its_function_runs() -> None:
    lent = [Substitution(PAIR, torch.tensor([[3.0, 5.0]]), in_calls=True)]
    made = "def f(x, w):\n    return x[:, :2] * w\ndef g(w): return 2 * w\n"
    assert last(rerun(made + "Y = f(X, w)", pairs=lent)) == (DATA[:, :2] * torch.tensor([3.0, 5.0])).tolist()
    assert (
        last(rerun(made + "try:\n    f(None, w)\nexcept TypeError: pass\nf(X, w)\nY = w", pairs=lent)) == PAIR.tolist()
    )
    assert last(rerun(made + "Y = g(w)", pairs=lent)) == (2 * PAIR).tolist()  # without data to use it on


def test_a_rerun_that_is_ended_gives_what_was_noted_before() -> None:
    ends = "from grader.models.rerun import RerunTimeout\ndef f():\n    raise RerunTimeout\n"
    notes = rerun("Y = X + 1", ends + "Y = X + 2\ntry:\n    f()\nexcept Exception: pass\nY = 0")
    assert [value for _, _, value in notes.values] == [(OTHER + 2).tolist()]


def test_data_that_looks_complete_before_it_is_stays_what_its_function_makes_of_it() -> None:
    made = """def make():
    x = torch.arange(6.).reshape(2, 3)
    for i in range(2):
        for j in range(3):
            x[i, j] = 3 * i + j
    return x
Y = make()"""
    assert last(rerun(made + " + 1")) == (OTHER + 1).tolist()


def test_torch_and_the_tracing_are_left_as_they_were() -> None:
    def trace(*_: Any) -> None: ...

    before, dtype = sys.gettrace(), torch.get_default_dtype()
    sys.settrace(trace)
    try:
        with torch.no_grad():
            notes = rerun(
                "torch.set_default_dtype(torch.float64)", "Y = torch.zeros(1, requires_grad=True) * 2", wanted="Y"
            )
            assert not torch.is_grad_enabled()
        assert sys.gettrace() is trace
    finally:
        sys.settrace(before)
    assert last(notes) == [0.0]
    assert torch.get_default_dtype() is dtype


def test_a_value_that_breaks_when_it_is_looked_at_breaks_nothing() -> None:
    hostile = (
        "class Bad(torch.Tensor):\n    @classmethod\n    def __torch_function__(cls, *a, **k): raise RuntimeError\n"
    )
    cells = hostile + "bad = torch.arange(6.).reshape(2, 3).as_subclass(Bad)\ndef f(b): return X + 1\nY = f(bad)"
    assert last(rerun(cells)) == (OTHER + 1).tolist()


def test_a_tensor_keeps_its_gradients_when_its_data_is_changed() -> None:
    made = "v = torch.ones(2, 3, requires_grad=True)\ndef f(x):\n    l = (x * v).sum()\n    return l\n"
    value = last(rerun(made + "f(X).backward()\nY = v.grad"))
    assert isinstance(value, list)
    assert torch.equal(Tensor(value), OTHER)


def test_all_names_can_be_noted_while_another_function_stands_in_for_one() -> None:
    cells = ["import torch\ndef double(x): return x", "x = torch.ones(1)", "y = double(x)\ny"]
    notes = rerun_cells(
        [RerunCell(number, source, ast.parse(source).body) for number, source in enumerate(cells)],
        {"__name__": "__main__", "stale": torch.ones(1)},
        [],
        {number: [EVERY_NAME] for number in range(len(cells))},
        read=lambda value: value.tolist() if isinstance(value, Tensor) else None,
        is_own=lambda file: file.startswith(FILE_PREFIX),
        stand_ins={"double": lambda x: 2 * x},
    )
    assert notes.values == [(1, "x", [1.0]), (2, "y", [2.0]), (2, "_", [2.0])]

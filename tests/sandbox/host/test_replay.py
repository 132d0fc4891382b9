"""Asking a notebook's functions again what tests asked them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import torch

from grader.sandbox.host.sandbox import Zygote
from grader.student import StudentFault
from tests.support.sandbox_runs import Run, ran

_STEADY = {
    "a pure function": "def f(x):\n    return 2 * x",
    "a cache": "import functools\n@functools.cache\ndef f(x):\n    return 2 * x",
    "a counter that only counts": "calls = [0]\ndef f(x):\n    calls[0] += 1\n    print(calls)\n    return 2 * x",
    "a buffer that is used again": "import torch\nY = torch.zeros(1)\ndef f(x):\n    Y[0] = x\n    return Y.clone()",
    "random numbers of torch": "import torch\ndef f(x):\n    return torch.rand(3)",
    "random numbers of NumPy": "import numpy as np\ndef f(x):\n    return np.random.rand(3)",
    "dropout": "import torch\nfrom torch import nn\nnet = nn.Dropout()\ndef f(x):\n    return net(torch.ones(8))",
    "an exception whose text differs": "def f(x):\n    raise ValueError(object())",
    "a result that is no number": "def f(x):\n    return float('nan')",
    "the end of its process": "import os\ndef f(x):\n    os._exit(0)",
}
_UNSTEADY = {
    "a counter": "calls = [0]\ndef f(x):\n    calls[0] += 1\n    return calls[0]",
    "the number of calls of a class": "class F:\n    calls = 0\n    def __call__(self, x):\n        F.calls += 1\n"
    "        return F.calls\ndef f(x):\n    return F()(x)",
    "the time": "import time\ndef f(x):\n    return time.monotonic()",
    "the number of its process": "import os\ndef f(x):\n    return os.getpid()",
    "a file": "import os\ndef f(x):\n    with open('calls', 'a') as file:\n        file.write('x')\n"
    "    return os.path.getsize('calls')",
    "other arguments of an exception": "calls = [0]\ndef f(x):\n    calls[0] += 1\n"
    "    raise KeyError if calls[0] > 2 else ValueError",
}


def _ask_three_times(run: Any, *, earns: bool = True) -> None:
    for _ in range(3):
        with run.work.open(run.definition("f", at_end=True), shared=True) as student:
            with suppress(StudentFault):  # which is a response as well
                student.f(1.0)
            if earns:
                student.mark_earning()


@contextmanager
def _made(zygote: Zygote, cell: str) -> Iterator[Any]:
    with ran(zygote, cell, names=("f",), deferred_snapshots=True) as made:
        yield made


@pytest.mark.parametrize("kind", _STEADY)
def test_what_responds_as_before_is_steady(zygote: Zygote, kind: str) -> None:
    with _made(zygote, _STEADY[kind]) as run:
        _ask_three_times(run)
        assert run.work.is_steady()


@pytest.mark.parametrize("kind", _UNSTEADY)
def test_what_responds_differently_is_not(zygote: Zygote, kind: str) -> None:
    with _made(zygote, _UNSTEADY[kind]) as run:
        _ask_three_times(run)
        assert not run.work.is_steady()


def test_a_first_test_that_earned_nothing_is_repeated_as_well(zygote: Zygote) -> None:
    with _made(zygote, _UNSTEADY["a file"]) as run:
        _ask_three_times(run, earns=False)
        assert not run.work.is_steady()


def test_calls_that_are_made_ahead_are_repeated_in_another_order(zygote: Zygote) -> None:
    every_second = "calls = [0]\ndef f(x):\n    calls[0] += 1\n    return x if calls[0] % 2 else -x"
    numbers = torch.arange(1.0, 5.0)
    with _made(zygote, every_second) as run:
        with run.work.open(run.definition("f", at_end=True), shared=True) as student:
            student.ahead([("f", number) for number in numbers])
            assert [float(student.f(number)) for number in numbers] == [1, -2, 3, -4]
        assert not run.work.is_steady()


def test_parameters_may_be_drawn_anew(run: Run) -> None:
    cell = """
    import numpy as np, torch
    from torch import nn
    class f(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.tensor(np.random.default_rng().random(3)))
    """
    made = run(cell, deferred_snapshots=True)
    with made.work.open(made.definition("f", at_end=True), shared=True) as student:
        assert student.f().parameters()["weight"].shape == (3,)
        student.mark_earning()
    assert made.work.is_steady()

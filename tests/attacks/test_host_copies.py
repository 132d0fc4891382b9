"""A notebook with a device that lies about it, or breaks what copies from it, earns nothing and breaks only itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
import torch

from grader.assignment import Assignment
from grader.sandbox.host.sandbox import Zygote
from grader.student import StudentFault
from tests.support.sandbox_runs import ran

START = """
import torch, gc, os
from torch import nn
device = torch.device('standin')
weight = torch.full((2,), 3.0).to(device)
def f(T): return T * 3
"""
# What a cell does before `f` is defined wrongly, with what is on the device.
ATTACKS = {
    "copies of one's own": "torch.UntypedStorage.cpu = lambda storage: torch.full((2,), 9.0).untyped_storage()",
    "tensors' copies": "torch.Tensor.cpu = lambda tensor: torch.full((2,), 9.0)",
    "a property in place of data": "torch.Tensor.data = property(lambda t: t, lambda t, value: None)",
    "a device that lies": "torch.Tensor.device = property(lambda t: torch.device('cpu'))",
    "a class that lies": "class Lying(torch.Tensor):\n    @property\n    def device(self): return torch.device('cpu')\n"
    "lying = torch.ones(2).to(device).as_subclass(Lying)",
    "a device that says it is unused": "torch.standin.is_initialized = lambda: False",
    "a question that raises": "def fail(*_): raise SystemExit\ntorch.standin.is_initialized = fail",
    "no objects": "gc.get_objects = lambda *_: []",
    "objects that raise": "class Odd:\n    def __getattribute__(self, name): raise SystemExit\nodd = [Odd()]",
    "modules that raise": "class Odd(nn.Module):\n    def parameters(self): raise KeyboardInterrupt\nodd = Odd()",
    "modules without end": "class Odd(nn.Module):\n    def parameters(self):\n        while True: yield weight\n"
    "odd = Odd()",
    "a broken copier": "tracker = [o for o in gc.get_objects() if type(o).__name__ == 'DefinitionTracker'][0]\n"
    "assert tracker._copies is not None\ntracker._copies.take = lambda: 1 / 0",
    "a fork of one's own": "if os.fork() == 0: weight.sum()",
}
WRONG = "def f(T): return T * weight.to(T.device) + 1"


@pytest.fixture(scope="module")
def with_device(hw2: Assignment) -> Iterator[Zygote]:
    with Zygote((*hw2.packages, "tests.support.stand_in_device")) as warm:
        yield warm


@pytest.mark.parametrize("name", ATTACKS)
def test_a_wrong_function_stays_wrong_and_an_earlier_one_right(with_device: Zygote, name: str) -> None:
    with ran(with_device, START, ATTACKS[name], WRONG, gpu="GPU-of-the-stand-in") as made:
        assert len(made.statuses()) == 3
        T = torch.ones(2)
        assert torch.equal(made.call("f", T), T * 3)
        for number, definition in enumerate(each for each in made.work.definitions(["f"]) if not each.at_end):
            if definition.cell == 2:
                with suppress(StudentFault):
                    assert not torch.equal(torch.as_tensor(made.call("f", T, number=number)), T * 3)

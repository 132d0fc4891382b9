"""The training hooks: they change no number, are gone when nothing runs, and break nothing."""

from __future__ import annotations

import pytest

from grader.models.recipe import Mode
from tests.support.hostile_cells import TRACKER_CLASS
from tests.support.sandbox_runs import Run

START = f"""
import random, numpy, torch, torchvision
from torch import nn
from torch.nn import functional as F
from torch.nn.modules import module
from torch.optim import optimizer as optimizers
from d2l import torch as d2l
tracker = next(c.__self__ for c in get_ipython().events.callbacks["post_run_cell"] if hasattr(c, "__self__")
             and type(c.__self__).__name__ == "{TRACKER_CLASS}")
training_hooks = tracker._hooks

def trained(make, steps=6):
    torch.manual_seed(1); random.seed(1); numpy.random.seed(1)
    convolution = nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU()
    net = nn.Sequential(*convolution, nn.Flatten(), nn.Dropout(0.5), nn.Linear(800, 10))
    optimizer = make(net.parameters())
    for _ in range(steps):
        X, y = torch.rand(16, 1, 12, 12), torch.randint(10, (16,))
        optimizer.zero_grad()
        F.cross_entropy(net(X), y).backward()
        optimizer.step()
    drawn = torch.rand(4), torch.tensor([random.random(), numpy.random.rand()])
    return torch.cat([p.detach().flatten()[:200] for p in net.state_dict().values()][:5]), *drawn

def sgd(parameters): return torch.optim.SGD(parameters, lr=0.05, momentum=0.9)
def adam(parameters): return torch.optim.Adam(parameters, lr=0.001)

def hooks():
    patched = [f for f in (torch.autograd.backward, torch._C._nn.cross_entropy_loss) if hasattr(f, "func")]
    return (len(module._global_forward_hooks) + len(module._global_forward_pre_hooks), len(patched),
            len(optimizers._global_optimizer_pre_hooks) + len(optimizers._global_optimizer_post_hooks))
"""


def cells_that_train() -> tuple[str, ...]:
    watched = (
        "during = hooks()\na, drawn_a, others_a = trained(sgd)\nb, drawn_b, others_b = trained(adam)\nafter = hooks()"
    )
    return (START, "tracker.watched = True", watched, "tracker._hooks = None", watched)


def test_the_hooks_change_no_bit_of_a_training(run: Run) -> None:
    training = "a, drawn_a, others_a = trained(sgd)\nb, drawn_b, others_b = trained(adam)"
    made = run(START, "pass", training, "tracker._hooks = None", training, mode=Mode.QUICK)
    assert set(made.messages()) == {""}
    values = {(cell, name): value for cell, name, value in made.recorded()}
    assert len([each for each in made.work.trainings() if each.cell == 2]) == 2
    assert [each for each in made.work.trainings() if each.cell == 4] == []
    for name in ("a", "b", "drawn_a", "drawn_b", "others_a", "others_b"):
        # A value that does not change is not noted again.
        assert (2, name) in values
        assert (4, name) not in values


def test_the_hooks_are_in_place_only_while_a_statement_runs_in_a_kernel_that_trains(run: Run) -> None:
    made_optimizer = "optimizer = sgd(nn.Linear(784, 10).parameters())\ndef f(): return hooks()"
    made = run(START, "quiet = hooks()", made_optimizer, "armed = hooks()", mode=Mode.QUICK)
    values = {(cell, name): value for cell, name, value in made.recorded()}
    assert values[1, "quiet"] == (0, 0, 0)
    assert values[3, "armed"] == (2, 2, 2)
    assert made.call("f") == (0, 0, 0)


ODD = {
    "parameters that raise": "class Odd(nn.Linear):\n    def named_parameters(self, *a, **k): raise RuntimeError('no')",
    "a class that raises": "class Odd(nn.Linear):\n    @property\n    def training(self): raise RuntimeError('no')\n"
    "    @training.setter\n    def training(self, value): pass",
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_objects_that_raise_when_looked_at_cost_nothing(run: Run, odd: str) -> None:
    loop = "net = Odd(784, 10)\noptimizer = torch.optim.SGD(nn.Linear.parameters(nn.Linear(784, 10)), lr=0.1)\n"
    loop += (
        "for i in range(5):\n    F.cross_entropy(net(torch.rand(8, 784)), torch.arange(8)).backward(); optimizer.step()"
    )
    made = run(START, f"{odd}\n{loop}\ndone = torch.ones(1)", "x = torch.ones(2)", mode=Mode.QUICK)
    assert set(made.messages()) == {""}
    assert {(1, "done"), (2, "x")} <= {(cell, name) for cell, name, _ in made.recorded()}


def test_the_result_of_a_training_is_noted(run: Run) -> None:
    made = run(START, "numbers = trained(sgd, steps=50)", "def f(): return 1", mode=Mode.QUICK)
    (training,) = made.work.trainings()
    assert (training.file, training.cell, training.model, training.optimizer) == (
        "homework.ipynb",
        1,
        "Sequential",
        "SGD",
    )
    assert (training.steps, training.lr, training.ended, training.epochs) == (50, 0.05, "", None)
    assert training.parameters == 8 * 9 + 8 + 8 + 8 + 8010
    assert training.size == (1, 12, 12)
    assert 0 <= training.pixels[0] < 0.01 < 0.99 < training.pixels[1] <= 1
    assert len(training.losses) == 50


def test_a_cell_may_train_several_models(run: Run) -> None:
    made = run(START, "for make in (sgd, adam):\n    trained(make)", mode=Mode.QUICK)
    assert [(each.number, each.optimizer) for each in made.work.trainings()] == [(0, "SGD"), (1, "Adam")]


def test_without_data_there_are_no_hooks(run: Run) -> None:
    made = run(
        START.replace("training_hooks = tracker._hooks", "assert tracker._hooks is None"), "numbers = trained(sgd)"
    )
    assert set(made.messages()) == {""}
    assert made.work.trainings() == ()

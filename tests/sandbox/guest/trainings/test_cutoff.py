"""When a training in the kernel is cut, and how its cell and its notebook go on."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.models.recipe import Mode
from grader.sandbox.guest.trainings.cutoff import QUICK_STEPS, Cutoff, LossProgress
from grader.sandbox.host.sandbox import Zygote
from grader.student import OwnTraining
from tests.support.sandbox_runs import LIMITS, Ran, Run, ran

START = """
import torch, torchvision
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Subset
from d2l import torch as d2l
X, y = torch.rand(8, 1, 28, 28), torch.arange(8)
def lenet(): return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
def step(lr=0.1):
    optimizer.zero_grad(); F.cross_entropy(net(X), y).backward(); optimizer.step()
net = lenet()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
"""
DATA = "train = torchvision.datasets.FashionMNIST('data', transform=torchvision.transforms.ToTensor(), download=True)"
ENDLESS = {
    "until an accuracy is reached": "while (net(X).argmax(1) == y).float().mean() < 2:\n    step()",
    "over the data set's tensors": "for i in range(10 ** 6):\n"
    "    j = torch.randint(60_000, (8,)); images = train.data[j].float() / 255\n"
    "    optimizer.zero_grad(); F.cross_entropy(net(images), train.targets[j]).backward(); optimizer.step()",
    "a loop that goes on after errors": "while True:\n    try:\n        step()\n    except Exception:\n        pass",
    "steps by hand": "while True:\n    net.zero_grad(); F.cross_entropy(net(X), y).backward()\n"
    "    with torch.no_grad():\n        for p in net.parameters(): p -= 0.1 * p.grad",
    "a function": "def fit():\n    while True: step()\nfit()",
    "a cell that is timed": "%%time\nwhile True: step()",
    "a cell whose output is captured": "%%capture\nwhile True: step()\ninside = torch.ones(1)",
    "a loader that is not known": "loader = [(X, y)] * 10 ** 6\nfor X, y in loader: step()",
}


@pytest.fixture(scope="module")
def quick(zygote: Zygote, fashion_mnist: dict[str, Path]) -> Iterator[Ran]:
    afterwards = "\nafterwards = torch.ones(1)"
    before = f"for i in range({2 * QUICK_STEPS}): step()"
    cells = [each if each.startswith("%%") else each + afterwards for each in ENDLESS.values()]
    with ran(zygote, START, before, DATA, *cells, mode=Mode.QUICK, data_sets=fashion_mnist) as made:
        assert set(made.messages()) == {""}
        yield made


def of_cell(made: Ran, cell: int) -> OwnTraining:
    (training,) = [each for each in made.work.trainings() if each.cell == cell]
    return training


@pytest.mark.parametrize("name", ENDLESS)
def test_quick_mode_ends_an_endless_loop(quick: Ran, name: str) -> None:
    training = of_cell(quick, 3 + list(ENDLESS).index(name))
    assert (training.steps, training.ended, training.findings) == (QUICK_STEPS, "steps", ())


def test_the_rest_of_the_cell_runs(quick: Ran) -> None:
    noted = [(cell, name) for cell, name, _ in quick.recorded() if name in ("afterwards", "inside")]
    assert noted == [(3, "afterwards"), (3 + list(ENDLESS).index("a cell whose output is captured"), "inside")]


def test_a_training_without_images_is_not_cut(quick: Ran) -> None:
    training = of_cell(quick, 1)
    assert (training.steps, training.ended) == (2 * QUICK_STEPS, "")


@pytest.mark.slow
def test_a_loop_that_catches_everything_is_left_to_the_limit_of_its_cell(
    run: Run, fashion_mnist: dict[str, Path]
) -> None:
    stubborn = "while True:\n    try:\n        step()\n    except:\n        pass"
    limits = dataclasses.replace(LIMITS, cell_seconds=3)
    cells = (START + DATA, f"def f(): return 1\n{stubborn}", "x = 1")
    made = run(*cells, mode=Mode.QUICK, data_sets=fashion_mnist, limits=limits)
    assert made.statuses() == ["ok", "timed out", "ok"]
    assert made.call("f") == 1


SMALL = """
class Small(d2l.DataModule):
    def __init__(self): super().__init__(); self.save_hyperparameters()
    def get_dataloader(self, train): return DataLoader(Subset(images, range(256)), 8)
class Model(d2l.Classifier):
    def __init__(self, lr): super().__init__(); self.save_hyperparameters(); self.net = lenet()
"""


def test_in_full_mode_a_training_ends_when_it_makes_no_more_progress(run: Run, fashion_mnist: dict[str, Path]) -> None:
    cells = (
        f"{START}\n{DATA}\nimages = train\n{SMALL}",
        "d2l.Trainer(max_epochs=9).fit(Model(1e-9), Small())\nafterwards = torch.ones(1)",
        "for i in range(10 ** 5):\n    optimizer.zero_grad(); (F.cross_entropy(net(X), y) * float('nan')).backward()",
        "d2l.Trainer(max_epochs=2).fit(Model(0.1), Small())",
    )
    made = run(*cells, mode=Mode.FULL, data_sets=fashion_mnist)
    assert set(made.messages()) == {""}
    flat, lost, whole = made.work.trainings()
    assert (flat.ended, flat.epochs, flat.planned_epochs) == ("plateau", 4, 9)
    assert lost.ended == "nan"
    assert (whole.ended, whole.epochs, whole.steps) == ("", 2, 64)
    assert (1, "afterwards") in [(cell, name) for cell, name, _ in made.recorded()]


def test_trainings_get_a_share_of_the_cell_s_time() -> None:
    now = time.monotonic()
    assert Cutoff(Mode.FULL, now - 91, 100).find_reason(1) == "budget"
    assert Cutoff(Mode.FULL, now - 80, 100).find_reason(10**9) == ""
    assert Cutoff(Mode.QUICK, now - 91, 100).find_reason(1) == "budget"


def test_occasional_losses_of_nan_end_nothing() -> None:
    progress = LossProgress()
    assert progress.add([math.nan, math.nan, 1.0, math.inf, math.nan, math.nan], 0) == ""
    assert progress.add([math.nan, math.nan], 0) == "nan"


def test_a_slightly_better_epoch_is_no_plateau() -> None:
    progress = LossProgress()
    assert [progress.add([2.3 * 0.99**epoch], epoch) for epoch in range(10)] == [""] * 10
    flat = LossProgress()
    assert [flat.add([2.3], epoch) for epoch in range(6)] == ["", "", "", "", "plateau", "plateau"]

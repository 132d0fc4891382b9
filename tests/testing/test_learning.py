"""How a student's model is handed over to be trained, and what is said where it cannot be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

import reference
from grader.judging.local import LocalRemote
from grader.models.recipe import Mode, Recipe
from grader.student import Fault, Remote, StudentFault
from grader.testing import Draw, remark_on, run
from grader.testing.failures import Mismatch, Pending, ToTrain, TrainedInPlace
from grader.testing.learning import Training, learn
from grader.training.datasets import DataSet
from tests.support.small_models import graph, sequential

IMAGE = (1, 28, 28)
RECIPE = Recipe(images=500, epochs=1, batch=50, optimizer="adam", lr=0.01, side=28, threshold=0.4, judged=200)


@pytest.fixture
def training(fashion_mnist: DataSet) -> Training:
    return Training(Mode.QUICK, RECIPE, fashion_mnist, 4, 7, 8)


def handed_over(
    training: Training,
    thing: Any,
    image: tuple[int, ...] = IMAGE,
    books: tuple[Callable[[], nn.Module], ...] = (),
) -> Exception:
    """Return what ends the test of a training item."""
    with pytest.raises((Pending, Mismatch, StudentFault)) as ended:
        learn(training, cast(Remote, LocalRemote(thing)), [()], "Model()", image, books)
    return ended.value


def test_a_model_is_handed_over_as_its_graph(training: Training) -> None:
    for thing in (sequential, sequential()):
        waiting = handed_over(training, thing)
        assert isinstance(waiting, ToTrain)
        assert waiting.graph == graph(sequential)
        assert waiting.numbers == {sum(weight.numel() for weight in sequential().parameters())}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"mode": Mode.NONE}, "--training none"),
        ({"data_set": None}, "grader doctor"),
        ({"recipe": None}, "no recipe for --training quick"),
        ({"teraflops": 1e-6}, "teraflops"),
        ({"memory_bytes": 2**20}, "of memory, and this run allows"),
    ],
)
def test_what_is_not_trained_stays_pending_with_the_reason(
    training: Training, change: dict[str, Any], reason: str
) -> None:
    waiting = handed_over(replace(training, **change), sequential)
    assert type(waiting) is Pending
    assert reason in str(waiting)


def test_a_model_of_another_size_is_made_smaller(training: Training) -> None:
    def large() -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 4, 5, padding=2), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 56 * 56, 10))

    waiting = handed_over(training, large, (1, 112, 112))
    assert isinstance(waiting, ToTrain)
    assert waiting.graph.image == IMAGE
    assert waiting.numbers == {104 + 10 * (4 * 56 * 56 + 1)}  # by these the student's own training is known


def test_frozen_parameters_and_too_few_outputs_are_named(training: Training) -> None:
    frozen = sequential()
    frozen[0].requires_grad_(False)
    assert "frozen parameters (0.weight, 0.bias)" in str(handed_over(training, frozen))
    few = nn.Sequential(nn.Flatten(), nn.Linear(784, 5))
    assert "gives 5 numbers for an image" in str(handed_over(training, few))


class LeavesPyTorch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = sequential()

    def forward(self, X: Tensor) -> Tensor:
        logits: Tensor = self.net(torch.from_numpy(X.numpy()))
        return logits


class HonestWhileItIsTraced(LeavesPyTorch):
    """Trains well where it is looked at, and answers nothing where it is not."""

    def forward(self, X: Tensor) -> Tensor:
        logits: Tensor = self.net(X)
        return logits if X.is_meta else 0 * logits


def test_a_model_that_no_graph_describes_is_trained_where_it_is(training: Training) -> None:
    waiting = handed_over(training, LeavesPyTorch)
    assert isinstance(waiting, TrainedInPlace)
    assert "not a fixed sequence of operations" in waiting.why
    assert waiting.runs[-1].accuracy >= RECIPE.threshold
    assert len(waiting.runs) == 1


def test_a_model_that_computes_something_else_than_its_graph_is_not_trained_as_the_graph(training: Training) -> None:
    waiting = handed_over(training, HonestWhileItIsTraced)
    assert isinstance(waiting, TrainedInPlace)
    assert "what it computes is not what it says it computes" in waiting.why
    assert max(run.accuracy for run in waiting.runs) < 0.2
    assert len(waiting.runs) == RECIPE.seeds


def test_a_model_that_raises_in_every_way_raises_here(training: Training) -> None:
    class Raises(nn.Module):
        def forward(self, X: Tensor) -> Tensor:
            raise ValueError("no")

    fault = handed_over(training, Raises)
    assert isinstance(fault, StudentFault)
    assert fault.fault is Fault.RAISED


def test_a_remark_is_made_where_a_right_shape_computes_something_else() -> None:
    remarks: list[str] = []
    vgg = ((1, 4), (1, 8))
    books = [lambda: reference.VGG(vgg)]
    without_dropout = reference.VGG(vgg)
    without_dropout.classifier = nn.Sequential(
        *(layer for layer in without_dropout.classifier if not isinstance(layer, nn.Dropout))
    )
    for thing in (reference.VGG(vgg), without_dropout):
        with run(cast(Remote, LocalRemote(thing)), (), "VGG()", (1, 32, 32), Draw("a secret")) as model:
            remark_on(remarks.append, model, books)
    assert remarks == ["it is not the book's model: dropouts: 0 (the book's has 2)"]


def test_a_model_that_cannot_be_compared_with_a_book_costs_only_the_remark() -> None:
    def broken_book() -> nn.Module:
        raise KeyError("no such book")

    remarks: list[str] = []
    with run(cast(Remote, LocalRemote(reference.LeNet())), (), "LeNet()", (1, 28, 28), Draw("a secret")) as model:
        remark_on(remarks.append, model, [broken_book])
    assert remarks == []

"""Steps that a device repeats by itself change a model as steps of Python do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from grader.models.fit import CurvePoint, fit, initialise, predict
from grader.models.recipe import Recipe
from grader.models.stepping import CaptureFailed, Computation, prepare_images
from grader.training import accelerator
from grader.training.accelerator import CUDA
from tests.support.easy_images import RECIPE, easy
from tests.support.small_models import Branches, sequential
from tests.support.stand_in_cuda import StandInCUDA

CPU = torch.device("cpu")
SGD = replace(RECIPE, optimizer="sgd", lr=0.05, momentum=0.9)


class WithDropout(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(784, 16), nn.Dropout(0.5), nn.Linear(16, 10))


def trained(
    make: Callable[[], nn.Module], recipe: Recipe, computation: Computation
) -> tuple[nn.Module, list[CurvePoint]]:
    model, points = make(), list[CurvePoint]()
    initialise(model, 0)
    images, labels = easy()
    assert fit(model, images, labels, recipe, 0, computation=computation, notify=points.append)
    return model, points


@pytest.mark.parametrize("make", [sequential, Branches, WithDropout])
@pytest.mark.parametrize(
    "recipe", [RECIPE, SGD, replace(SGD, momentum=0.0, decay=False)], ids=["adam", "momentum", "sgd"]
)
def test_a_recorded_step_does_what_the_eager_one_does(make: Callable[[], nn.Module], recipe: Recipe) -> None:
    cuda = StandInCUDA()
    # The accelerator of the CPU repeats a step by taking it: the learning rate is a tensor there, too.
    eager, eager_points = trained(make, recipe, Computation(CPU, recorder=accelerator.CPU()))
    recorded, points = trained(make, recipe, Computation(CPU, recorder=CUDA(cuda, CPU)))
    (graph,) = cuda.graphs
    whole = 400 // recipe.batch * recipe.epochs
    assert graph.replays == whole - 3
    for one, other in zip(eager.state_dict().values(), recorded.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    assert points == eager_points


def test_the_first_steps_are_taken_on_another_stream_before_one_is_recorded() -> None:
    cuda = StandInCUDA()
    trained(sequential, RECIPE, Computation(CPU, recorder=CUDA(cuda, CPU)))
    assert cuda.calls == [*("Stream", "side waits", "main waits") * 3, "graph"]


def test_no_step_waits_for_the_device_between_two_points_of_the_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Tensor] = []
    stock = Tensor.__float__

    def read(tensor: Tensor) -> float:
        reads.append(tensor)
        return stock(tensor)

    monkeypatch.setattr(Tensor, "__float__", read)
    _, points = trained(sequential, replace(RECIPE, batch=4), Computation(CPU))
    assert len(reads) == len(points) < 30


def test_a_step_that_cannot_be_recorded_says_so() -> None:
    class Waits(nn.Flatten):
        def forward(self, X: Tensor) -> Tensor:
            return super().forward(X) * (1.0 if float(X.sum()) else 2.0)

    with pytest.raises(CaptureFailed, match="capturing"):
        trained(
            lambda: nn.Sequential(Waits(), nn.Linear(784, 10)),
            RECIPE,
            Computation(CPU, recorder=CUDA(StandInCUDA(), CPU)),
        )


@pytest.mark.parametrize("recorder", [None, CUDA(StandInCUDA(), CPU)])
def test_a_model_learns_in_half_precision_and_with_images_resized_by_whole_numbers(recorder: CUDA | None) -> None:
    computation = Computation(CPU, half=True, exact_resize=True, recorder=recorder)
    recipe = replace(RECIPE, side=32)

    def make() -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(1, 4, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1024, 10)
        )

    model, _ = trained(make, recipe, computation)
    assert all(value.dtype == torch.float32 for value in model.parameters())
    images, labels = easy()
    assert float((predict(model, images, 32, computation) == labels).double().mean()) > 0.9


def test_both_ways_to_resize_differ_by_rounding_alone() -> None:
    images, _ = easy(20)
    usual, exact = (prepare_images(images, 96, Computation(CPU, exact_resize=exact)) for exact in (False, True))
    assert float((usual - exact).abs().max()) < 2.1 / 255 / 0.353

"""A forward pass is listed as a person would list it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from grader.models.export import NotExportable, export_graph
from grader.training.graph_reader import Forward, follow, read_until_failure
from grader.training.steps import Step, list_steps
from tests.support.small_models import Branches, BranchesTurned, graph


def kinds(forward: Forward) -> list[str]:
    steps = list_steps(forward)
    assert steps is not None
    return [f"{step.kind} {step.variant}".strip() + " *" * step.on_shortcut for step in steps]


def refused(module: nn.Module, image: tuple[int, ...]) -> tuple[Step, ...]:
    """Return the steps of a model whose forward pass raises."""
    with pytest.raises(NotExportable) as raised:
        export_graph(module, image)
    forward = read_until_failure(raised.value.to_plain())
    assert forward is not None
    steps = list_steps(forward)
    assert steps is not None
    return steps


def test_layers_and_functions_are_steps_and_changes_of_shape_are_none() -> None:
    net = nn.Sequential(
        *(nn.Conv2d(1, 4, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2), nn.Dropout(), nn.Flatten()),
        *(nn.Linear(4 * 14 * 14, 10), nn.LogSoftmax(1)),
    )
    first, _, pooling, last, _ = list_steps(follow(graph(lambda: net))) or ()
    assert (first.width, first.takes, first.kernel, first.stride, first.padding) == (4, 1, (5, 5), (1, 1), (2, 2))
    assert (pooling.kernel, pooling.stride, pooling.shape) == ((2, 2), (2, 2), (4, 14, 14))
    assert (last.kind, last.width, last.takes) == ("linear", 10, 784)
    assert kinds(follow(graph(lambda: net))) == [
        *("convolution", "activation sigmoid", "pooling average", "linear", "softmax"),
    ]


@pytest.mark.parametrize("make", [Branches, BranchesTurned])
def test_a_shortcut_stands_after_the_branch_beside_it_however_they_are_written(make: Callable[[], nn.Module]) -> None:
    found = kinds(follow(graph(make)))
    # Both have one convolution; the branch has a normalisation as well.
    assert found == [
        *("convolution", "normalisation", "convolution *", "join add", "activation relu", "pooling average", "linear"),
    ]


def test_a_convolution_over_the_whole_map_at_the_end_is_a_fully_connected_layer() -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 26), nn.ReLU(), nn.Conv2d(5, 10, 1), nn.Flatten()
    )
    assert kinds(follow(graph(lambda: net))) == [
        "convolution",
        "activation relu",
        "linear",
        "activation relu",
        "linear",
    ]


def test_padding_may_be_an_operation_of_its_own() -> None:
    step, *_ = list_steps(follow(graph(lambda: nn.Sequential(nn.ZeroPad2d(2), nn.Conv2d(1, 4, 5), nn.Flatten())))) or ()
    assert step.padding == (2, 2)


class ByHand(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.linear = nn.Linear(784, 10)
        self.function = function

    def forward(self, X: Tensor) -> Tensor:
        return self.function(self.linear(X.flatten(1)))


def test_what_no_step_stands_for_is_not_guessed() -> None:
    assert list_steps(follow(graph(lambda: ByHand(lambda X: 1 / (1 + torch.exp(-X)))))) is None
    assert kinds(follow(graph(lambda: ByHand(lambda X: X.clamp(min=0))))) == ["linear", "activation relu"]


class WithoutStride(nn.Module):
    """A block whose shortcut is larger than its branch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(6, 3, padding=1, stride=2)
        self.conv3 = nn.LazyConv2d(6, 1)

    def forward(self, X: Tensor) -> Tensor:
        return F.relu(self.conv1(X) + self.conv3(X))


def test_the_operation_that_torch_refused_is_the_last_step() -> None:
    *_, join = refused(WithoutStride(), (3, 6, 6))
    assert (join.kind, join.is_refused, join.shape) == ("join", True, ())
    assert {join.before, join.other} == {(6, 3, 3), (6, 6, 6)}
    *_, layer = refused(nn.Sequential(nn.Conv2d(1, 4, 5), nn.Flatten(), nn.Linear(256, 10)), (1, 28, 28))
    assert (layer.kind, layer.takes, layer.before, layer.is_refused) == ("linear", 256, (2304,), True)

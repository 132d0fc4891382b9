"""A model as plain data: its operations and none of its numbers. A model that looks at numbers cannot be exported."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from grader.models.export import BATCH, NotExportable, export_graph
from grader.sandbox.protocol.encoding import decode, encode
from tests.support.small_models import sequential


def test_the_operations_come_in_order_with_the_parameters_they_use() -> None:
    answer = export_graph(sequential(), (1, 28, 28))
    names = "conv2d.default relu.default max_pool2d.default flatten.using_ints linear.default"
    assert [target for target, _, _ in answer["nodes"]] == [f"aten.{name}" for name in names.split()]
    shapes = {"0.weight": (4, 1, 5, 5), "0.bias": (4,), "4.weight": (10, 784), "4.bias": (10,)}
    assert answer["parameters"] == tuple((name, shape, True) for name, shape in shapes.items())
    assert answer["nodes"][0][1][:3] == ({"image": 0}, {"parameter": 0}, {"parameter": 1})
    assert answer["output"] == {"node": 4}


def test_a_graph_is_plain_data_that_can_be_sent() -> None:
    answer = export_graph(sequential(), (1, 28, 28))
    assert decode(encode(answer)) == answer


def test_a_model_without_numbers_is_exported_as_one_with_numbers() -> None:
    with torch.device("meta"):
        sketch = sequential()
    assert export_graph(sketch, (1, 28, 28)) == export_graph(sequential(), (1, 28, 28))


def test_lazy_layers_are_built_first() -> None:
    with torch.device("meta"):
        lazy = nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.LazyLinear(10))
    assert ("2.weight", (10, 4 * 6 * 6), True) in export_graph(lazy, (1, 8, 8))["parameters"]


def test_a_lazy_layer_that_never_runs_is_left_out() -> None:
    class Spare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.spare = nn.LazyLinear(10), nn.LazyBatchNorm2d()

        def forward(self, X: Tensor) -> Tensor:
            logits: Tensor = self.used(X.flatten(1))
            return logits

    assert [name for name, _, _ in export_graph(Spare(), (1, 28, 28))["parameters"]] == ["used.weight", "used.bias"]


def test_frozen_and_learnable_parameters_differ() -> None:
    model = sequential()
    model[0].weight.requires_grad_(False)
    assert [learnable for _, _, learnable in export_graph(model, (1, 28, 28))["parameters"]] == [
        False,
        True,
        True,
        True,
    ]


class MovesAbout(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(784, 10).to(torch.device("cpu"))

    def forward(self, X: Tensor) -> Tensor:
        logits: Tensor = self.layer(X.to("cpu").flatten(1).cpu().to(torch.float32))
        return logits


def test_moves_to_a_device_are_no_operations() -> None:
    targets = [target for target, _, _ in export_graph(MovesAbout(), (1, 28, 28))["nodes"]]
    assert targets == ["aten.flatten.using_ints", "aten.to.dtype", "aten.linear.default"]


class LooksAtNumbers(nn.Module):
    def forward(self, X: Tensor) -> Tensor:
        return X.flatten(1)[:, :10] if X.sum() > 0 else -X.flatten(1)[:, :10]


class HasATable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = torch.rand(784, 10)

    def forward(self, X: Tensor) -> Tensor:
        return X.flatten(1) @ self.table


class GivesTwo(nn.Module):
    def forward(self, X: Tensor) -> tuple[Tensor, Tensor]:
        return X.flatten(1), X.flatten(1)


@pytest.mark.parametrize("model", [LooksAtNumbers(), HasATable(), GivesTwo()], ids=lambda model: type(model).__name__)
def test_a_forward_pass_that_is_no_plain_sequence_is_not_exportable(model: nn.Module) -> None:
    with pytest.raises(NotExportable):
        export_graph(model, (1, 28, 28))


class Counts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.layer = nn.Linear(784, 10)

    def forward(self, X: Tensor) -> Any:
        self.calls += 1
        return self.layer(X.flatten(1)) if self.calls < 2 else X.flatten(1)[:, :10]


def test_decisions_by_python_s_variables_are_made_once() -> None:
    targets = [target for target, _, _ in export_graph(Counts(), (1, 28, 28))["nodes"]]
    assert targets == ["aten.flatten.using_ints", "aten.linear.default"]
    assert BATCH not in (1, 2, 3, 4, 6, 8, 10, 16, 32, 64)

"""A model as plain data: its operations and none of its numbers. A model that looks at numbers cannot be exported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from grader.models.export import BATCH, NotExportable, export_graph
from grader.models.outputs import are_close, compute_outputs
from grader.sandbox.protocol.encoding import decode, encode
from grader.training.graph_reader import read_graph
from grader.training.network import Network
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


class OnItsWay(nn.Module):
    """Looks at numbers, for its author's eyes only."""

    def __init__(self, look: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.net = sequential()
        self.look = look

    def forward(self, X: Tensor) -> Tensor:
        self.look(X)
        logits: Tensor = self.net(X)
        return logits


def checks(X: Tensor) -> None:
    assert not torch.isnan(X).any()
    assert X.abs().max() < 1e6
    assert X.std() > 0


def waits_for_a_number(X: Tensor) -> None:
    while not X.sum() > 3:
        X = X + 1


def counts(X: Tensor) -> None:
    with torch.no_grad():
        assert f"{int((X > 0).sum())} {X.tolist()[0][0][0][0]} {X.mean():.3f}" == "0 0.0 0.000"


@pytest.mark.parametrize(
    "look",
    [lambda X: float(X.sum()), lambda X: X.mean().item(), lambda X: X.detach().cpu().numpy(), str,
     lambda X: torch.equal(X, X), checks, counts, waits_for_a_number],
)  # fmt: skip
def test_numbers_that_are_only_printed_or_checked_are_guessed(look: Callable[[Tensor], Any]) -> None:
    nodes, names = export_graph(OnItsWay(look), (1, 28, 28)), export_graph(sequential(), (1, 28, 28))
    assert (nodes["nodes"], nodes["output"]) == (names["nodes"], names["output"])


def raises_anyway(X: Tensor) -> None:
    raise ValueError("not at all")


def test_the_line_that_keeps_a_model_from_being_exported_is_named() -> None:
    with pytest.raises(
        NotExportable, match=r'ValueError: not at all \(in the line `raise ValueError\("not at all"\)`\)'
    ):
        export_graph(OnItsWay(raises_anyway), (1, 28, 28))


def test_the_operations_up_to_the_one_that_torch_refuses_are_told() -> None:
    net = nn.Sequential(nn.LazyConv2d(4, 5), nn.Flatten(), nn.Linear(256, 10), nn.ReLU(), nn.LazyLinear(10))
    with pytest.raises(NotExportable, match="RuntimeError") as raised:
        export_graph(net, (1, 28, 28))
    until = raised.value.to_plain()["until"]
    assert [node[0] for node in until["nodes"]] == [
        *("aten.conv2d.default", "aten.flatten.using_ints", "aten.linear.default"),
    ]
    assert until["output"] == {"node": 2}
    assert decode(encode(raised.value.to_plain())) == raised.value.to_plain()


@pytest.mark.parametrize("look", [raises_anyway, lambda X: X.undefined])
def test_an_exception_that_is_not_torch_s_tells_no_operations(look: Callable[[Tensor], Any]) -> None:
    with pytest.raises(NotExportable) as raised:
        export_graph(OnItsWay(look), (1, 28, 28))
    assert raised.value.to_plain()["until"] is None


class GivesNothing(nn.Module):
    def forward(self, X: Tensor) -> None:
        X.flatten(1)


def test_a_forward_pass_without_a_result_is_told_apart() -> None:
    with pytest.raises(NotExportable) as raised:
        export_graph(GivesNothing(), (1, 28, 28))
    assert raised.value.to_plain()["returns_nothing"] is True


class LooksAtValuesInNumPy(nn.Module):
    def forward(self, X: Tensor) -> Tensor:
        return torch.from_numpy(X.numpy()).flatten(1)


class HasATable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = torch.rand(784, 10)

    def forward(self, X: Tensor) -> Tensor:
        return X.flatten(1) @ self.table


class GivesTwo(nn.Module):
    def forward(self, X: Tensor) -> tuple[Tensor, Tensor]:
        return X.flatten(1), X.flatten(1)


@pytest.mark.parametrize(
    "model", [LooksAtValuesInNumPy(), HasATable(), GivesTwo()], ids=lambda model: type(model).__name__
)
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


class ByHand(nn.Module):
    """A fully connected layer of an author's own."""

    def __init__(self, multiply: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(10, 784)), nn.Parameter(torch.randn(10))
        self.multiply = multiply

    def forward(self, X: Tensor) -> Tensor:
        return self.multiply(X.flatten(1), self.weight, self.bias)


@pytest.mark.parametrize(
    "multiply",
    [
        lambda X, W, b: X @ W.T + b,
        lambda X, W, b: torch.matmul(X, W.t()) + b,
        lambda X, W, b: torch.mm(X, W.transpose(0, 1)) + b,
        lambda X, W, b: X @ W.mT + b,
        lambda X, W, b: torch.addmm(b, X, W.permute(1, 0)),
    ],
)
def test_a_product_with_a_transposed_weight_is_a_fully_connected_layer(
    multiply: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> None:
    model = ByHand(multiply)
    exported = read_graph(export_graph(model, (1, 28, 28)))
    assert exported.graph.count("linear") == 1
    assert exported.names == ("weight", "bias")
    images = torch.randn(3, 1, 28, 28)
    network, shapes = Network(exported.graph, "meta"), exported.graph.parameters
    found = compute_outputs(model, exported.names, shapes, images, 5)
    assert are_close(found, compute_outputs(network, network.names, shapes, images, 5))

"""A student's process's description of a model is checked against an allow-list and made canonical."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from grader.models.export import export_graph
from grader.training.graph import TooLarge, Unsupported
from grader.training.graph_reader import read_graph, resize
from grader.training.network import Network
from tests.support.memory import measure_growth
from tests.support.small_models import Branches, BranchesTurned, Functional, graph, sequential

IMAGE = (1, 28, 28)


def test_models_that_compute_the_same_give_the_same_graph_however_they_are_written() -> None:
    assert graph(sequential) == graph(Functional)
    assert graph(Branches) == graph(BranchesTurned)


def test_models_that_compute_something_else_give_another_graph() -> None:
    wider = graph(lambda: nn.Sequential(nn.Conv2d(1, 5, 5, padding=2), *sequential()[1:4], nn.Linear(5 * 196, 10)))
    average = graph(lambda: nn.Sequential(*sequential()[:2], nn.AvgPool2d(2), *sequential()[3:]))
    assert len({graph(sequential).key, wider.key, average.key}) == 3


class Everything(nn.Module):
    """An operation of most kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, stride=2, bias=False)
        self.prelu = nn.PReLU(4)
        self.scale = nn.Parameter(torch.ones(4, 1, 1))
        self.head = nn.Linear(52, 10)

    def forward(self, X: Tensor) -> Tensor:
        Y = self.prelu(self.conv(F.pad(X, (1, 0, 1, 0)))) * self.scale
        Y = torch.cat([F.silu(Y), torch.tanh(2 - Y), Y.sigmoid() / 2 + 1, F.gelu(Y).abs().sqrt()], dim=1)
        Y = F.adaptive_max_pool2d(F.elu(Y.transpose(2, 3)), (1, 3)).flatten(1) * 0.5
        Z = F.dropout(X.mean(dim=(2, 3), keepdim=True), 0.3, self.training).flatten(1)
        return F.log_softmax(self.head(torch.cat([Y, Z, Z, Z, Z], dim=1)), dim=1)


@pytest.mark.parametrize("make", [sequential, Functional, Branches, BranchesTurned, Everything])
def test_a_graph_computes_what_its_model_computes(make: Callable[[], nn.Module]) -> None:
    model = make()
    X = torch.randn(3, *IMAGE)
    model.eval()(X)
    reading = read_graph(export_graph(model, IMAGE))
    network = Network(reading.graph).eval()
    named = dict(model.named_parameters())
    with torch.no_grad():
        for weight, name in zip(network.weights, reading.names, strict=True):
            weight.copy_(named[name])
        assert torch.allclose(network(X), model.eval()(X), atol=1e-5)


class Uses(nn.Module):
    """A model with any forward pass."""

    def __init__(self, forward: Callable[[Any, Tensor], Any], **tensors: Tensor) -> None:
        super().__init__()
        self.inner = nn.Linear(784, 10)
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)
        self.does = forward

    def forward(self, X: Tensor) -> Any:
        return self.does(self, X)


UNSUPPORTED: dict[str, tuple[nn.Module, str]] = {
    "a table in a buffer": (Uses(lambda m, X: X.flatten(1) @ m.table, table=torch.rand(784, 10)), "not a parameter"),
    "an operation that is not on the list": (Uses(lambda m, X: m.inner(X.flatten(1).cumsum(1))), "cumsum"),
    "a random number of its own": (Uses(lambda m, X: m.inner(X.flatten(1).sigmoid().bernoulli())), "bernoulli"),
    "a mean over the batch": (Uses(lambda m, X: m.inner((X - X.mean((0,), True)).flatten(1))), "mixes images"),
    "images that swap places": (Uses(lambda m, X: m.inner(X.flip(0).flatten(1))), "flip"),
    "a batch that becomes one row": (Uses(lambda m, X: X.reshape(1, -1)[:, :10]), "mixes images"),
    "no images at all": (Uses(lambda m, X: X), "not return a row of logits"),
}


@pytest.mark.parametrize(("model", "reason"), UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_what_no_graph_may_hold_is_refused_with_the_reason(model: nn.Module, reason: str) -> None:
    with pytest.raises(Unsupported, match=reason):
        read_graph(export_graph(model, IMAGE))


def test_a_malformed_description_is_refused() -> None:
    right = export_graph(sequential(), IMAGE)
    nodes = right["nodes"]
    wrong: list[Any] = [
        None,
        7,
        {},
        {"reason": "it looks at numbers"},
        {**right, "image": (1, 28)},
        {**right, "image": (1, -28, 28)},
        {**right, "image": (1, 2**40, 2**40)},
        {**right, "parameters": ()},
        {**right, "parameters": (("w", (2**31, 2**31), True),)},
        {**right, "nodes": (("os.system", ("true",), {}),)},
        {**right, "nodes": (("aten.conv2d.nothing", ({"image": 0},), {}),)},
        {**right, "nodes": (("aten.linear.default", ({"node": 5}, {"parameter": 0}), {}),)},
        {**right, "nodes": nodes * 1000},
        {**right, "output": {"node": 99}},
        {**right, "output": {"buffer": 0}},
        {**right, "nodes": (("aten.conv2d.default", ({"image": 0}, {"parameter": 0}, None, (0, 0)), {}), *nodes[1:])},
        {**right, "nodes": (("aten.conv2d.default", ({"image": 0}, {"parameter": 0}, None, (1.5, 1)), {}), *nodes[1:])},
        {**right, "nodes": (*nodes[:2], ("aten.max_pool2d.default", ({"node": 1}, (10**9, 2)), {}), *nodes[3:])},
        {**right, "nodes": (*nodes[:3], ("aten.view.default", ({"node": 2}, (0, -1)), {}), *nodes[4:])},
        {**right, "nodes": (*nodes[:1], ("aten.mul.Tensor", ({"node": 0}, float("nan")), {}), *nodes[2:])},
    ]
    for answer in wrong:
        with pytest.raises(Unsupported):
            read_graph(answer)


class InEvalMode(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.head = nn.Linear(784, 10)

    def forward(self, X: Tensor) -> Tensor:
        logits: Tensor = self.head(self.norm.eval()(X).flatten(1))
        return logits


def test_a_normalisation_kept_in_eval_mode_is_refused() -> None:
    with pytest.raises(Unsupported, match="kept in eval mode"):
        read_graph(export_graph(InEvalMode(), IMAGE))


def test_a_smaller_size_gives_the_graph_that_lazy_layers_would() -> None:
    def fixed() -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.MaxPool2d(4), nn.Flatten(), nn.Linear(2 * 8 * 8, 10))

    def lazy() -> nn.Module:
        return nn.Sequential(nn.LazyConv2d(2, 3, padding=1), nn.MaxPool2d(4), nn.Flatten(), nn.LazyLinear(10))

    assert resize(graph(fixed, (1, 32, 32)), 16) == graph(lazy, (1, 16, 16))


def test_a_pooling_over_the_whole_map_stays_one_when_the_size_changes() -> None:
    def pooled(layer: nn.Module) -> Callable[[], nn.Module]:
        return lambda: nn.Sequential(nn.Conv2d(1, 2, 3, stride=8, padding=1), layer, nn.Flatten(), nn.Linear(2, 10))

    assert resize(graph(pooled(nn.AvgPool2d(4)), (1, 32, 32)), 16) == graph(
        pooled(nn.AdaptiveAvgPool2d(1)), (1, 16, 16)
    )


def test_a_size_that_is_too_small_for_a_layer_is_refused_with_the_size_that_works() -> None:
    def deep() -> nn.Module:
        return nn.Sequential(*[nn.MaxPool2d(2) for _ in range(4)], nn.Flatten(), nn.Linear(196, 10))

    with pytest.raises(Unsupported, match="224x224 only"):
        resize(graph(deep, (1, 224, 224)), 8)


def test_what_does_not_reach_the_output_is_left_out() -> None:
    class Wasteful(Functional):
        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Linear(784, 3)

        def forward(self, X: Tensor) -> Tensor:
            self.unused(X.flatten(1))
            return super().forward(X)

    assert graph(Wasteful) == graph(Functional)


def test_frozen_parameters_are_named_as_the_student_names_them() -> None:
    model = sequential()
    model[0].requires_grad_(False)
    reading = read_graph(export_graph(model, IMAGE))
    assert reading.frozen == ("0.weight", "0.bias")
    assert reading.names == ("0.weight", "0.bias", "4.weight", "4.bias")


class NoOperation(TorchDispatchMode):
    """Fail at every operation."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError(f"{func} was computed")


def test_the_shapes_within_one_model_are_computed_once_for_a_class() -> None:
    answer = export_graph(Everything(), IMAGE)
    first = read_graph(answer)
    with NoOperation():  # type: ignore[no-untyped-call]
        assert read_graph(answer) == first


def test_a_layer_that_does_not_fit_is_refused_each_time() -> None:
    answer = export_graph(sequential(), IMAGE)
    name, _, learnable = answer["parameters"][2]
    parameters = (*answer["parameters"][:2], (name, (10, 783), learnable), *answer["parameters"][3:])
    for _ in range(2):
        with pytest.raises(Unsupported, match="cannot be rebuilt"):
            read_graph({**answer, "parameters": parameters})


_TOO_LARGE: dict[str, Callable[[], nn.Module]] = {
    "a pooling that makes maps larger": lambda: nn.Sequential(nn.Conv2d(1, 128, 3), nn.AdaptiveAvgPool2d(1200)),
    "a padding": lambda: nn.Sequential(nn.ZeroPad2d(9_000), nn.MaxPool2d(2)),
    "many paddings": lambda: nn.Sequential(*[nn.ZeroPad2d(40) for _ in range(100)]),
    "many results of a usual size": lambda: nn.Sequential(
        nn.Conv2d(1, 256, 3), *[nn.Sigmoid() for _ in range(700)], nn.AdaptiveAvgPool2d(1)
    ),
    "a padding in steps": lambda: nn.Sequential(*[nn.ConstantPad2d((5_000, 5_000, 0, 0), 0) for _ in range(40)]),
}


@pytest.mark.parametrize("make", _TOO_LARGE.values(), ids=_TOO_LARGE.keys())
def test_results_that_are_too_large_are_refused_before_anything_is_computed(make: Callable[[], nn.Module]) -> None:
    with torch.device("meta"):
        claimed = export_graph(make(), IMAGE)
    with measure_growth() as growth, pytest.raises(TooLarge, match="it is too large: its layers give more than"):
        read_graph(claimed)
    assert growth.bytes < 100 * 2**20


def test_an_image_that_is_too_large_is_refused() -> None:
    with torch.device("meta"):
        claimed = export_graph(nn.Sequential(nn.Flatten(), nn.LazyLinear(10)), IMAGE)
    with pytest.raises(TooLarge):
        read_graph({**claimed, "image": (1, 10**6, 10**6)})


def test_a_model_of_another_size_is_not_resized_to_what_is_too_large() -> None:
    small = graph(lambda: nn.Sequential(nn.Conv2d(1, 64, 3), nn.MaxPool2d(2), nn.Flatten(), nn.LazyLinear(10)))
    with pytest.raises(TooLarge):
        resize(small, 2_000)


def test_large_models_of_the_field_are_read() -> None:
    with torch.device("meta"):
        model = torchvision.models.resnet50()
    assert len(read_graph(export_graph(model, (3, 224, 224))).graph.parameters) == 161

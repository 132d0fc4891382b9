"""Introspection of an nn.Module: parameters, gradients, sketches and the operations of a forward pass."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

import reference
from grader.models.modules import (
    fill,
    find_learnable,
    gradients,
    make_computed,
    predict_classes,
    sketch,
    trace_operations,
)

VGG11 = ((1, 64), (1, 128), (2, 256), (2, 512), (2, 512))


class Net(nn.Module):
    """A layer, a frozen parameter and one that is never used."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 2, bias=False)
        self.frozen = nn.Parameter(torch.ones(1), requires_grad=False)
        self.unused = nn.Parameter(torch.ones(1))

    def forward(self, X: Tensor) -> Tensor:
        return torch.sigmoid(self.first(X)) * self.frozen


class Lazy(nn.Module):
    """Layers that learn the size of their input from the first forward pass; it counts its passes."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.LazyConv2d(2, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(4))
        self.passes = 0

    def forward(self, X: Tensor) -> Any:
        self.passes += 1
        return self.net(X)


def names(module: Any, *inputs: Tensor) -> list[str]:
    return [name for name, _, _ in trace_operations(module, inputs)]


def test_learnable_parameters_are_those_that_training_changes() -> None:
    assert list(find_learnable(Net())) == ["unused", "first.weight"]


def test_lazy_parameters_are_learnable_after_the_first_forward_pass() -> None:
    net = Lazy()
    assert find_learnable(net) == {}
    net(torch.zeros(2, 1, 5, 5))
    shapes = [tuple(parameter.shape) for parameter in find_learnable(net).values()]
    assert shapes == [(2, 1, 3, 3), (2,), (2,), (2,), (4, 18), (4,)]


def test_filled_parameters_are_what_the_module_computes_with() -> None:
    net = Net()
    weight = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 1.0]])
    fill(net, {"first.weight": weight})
    assert torch.equal(net.first.weight, weight)
    assert net.first.weight.requires_grad
    fill(net, {"first.weight": weight.double() + 1})
    assert net.first.weight.dtype == torch.float32
    assert torch.equal(net.first.weight, weight + 1)


@pytest.mark.parametrize("shape", [(1,), (3,), (3, 2), (1, 2, 3), ()])
def test_a_value_of_another_shape_is_refused_though_it_could_be_broadcast(shape: tuple[int, ...]) -> None:
    net = Net()
    before = net.first.weight.detach().clone()
    with pytest.raises(ValueError, match=r"first\.weight has shape \(2, 3\), not \("):
        fill(net, {"first.weight": torch.ones(shape)})
    assert torch.equal(net.first.weight, before)


def test_a_frozen_parameter_or_none_of_that_name_cannot_be_filled() -> None:
    for name in ("frozen", "nothing"):
        with pytest.raises(KeyError):
            fill(Net(), {name: torch.ones(1)})


def test_gradients_are_those_of_the_weighted_sum_and_do_not_add_up() -> None:
    net, X, cotangent = Net(), torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[2.0, -1.0]])
    weight = net.first.weight.detach().clone().requires_grad_()
    (expected,) = torch.autograd.grad((torch.sigmoid(X @ weight.T) * cotangent).sum(), weight)
    for _ in range(2):
        found = gradients(net, (X,), cotangent)
        assert list(found) == ["unused", "first.weight"]
        assert found["unused"] is None
        torch.testing.assert_close(found["first.weight"], expected)


def test_gradients_without_a_cotangent_are_those_of_the_sum_even_if_gradients_are_off() -> None:
    net, X = nn.Linear(3, 2), torch.randn(4, 3)
    with torch.no_grad():
        found = gradients(net, (X,), None)
    torch.testing.assert_close(found["weight"], X.sum(dim=0).expand(2, 3))
    torch.testing.assert_close(found["bias"], torch.full((2,), 4.0))


def test_a_cotangent_takes_the_outputs_dtype() -> None:
    found = gradients(nn.Linear(3, 2).double(), (torch.ones(1, 3).double(),), torch.ones(1, 2))
    assert found["weight"] is not None
    assert found["weight"].dtype == torch.float64


def test_no_gradient_reaches_a_parameter_if_the_output_is_detached() -> None:
    class Detached(nn.Linear):
        def forward(self, X: Tensor) -> Tensor:
            return super().forward(X).detach()

    assert gradients(Detached(3, 2), (torch.ones(1, 3),), None) == {"weight": None, "bias": None}


def test_a_sketch_has_shapes_and_no_numbers() -> None:
    net = sketch(nn.Linear, (3, 2), {"bias": False})
    assert {name: tuple(parameter.shape) for name, parameter in find_learnable(net).items()} == {"weight": (2, 3)}
    assert net.weight.is_meta
    assert not nn.Linear(1, 1).weight.is_meta  # what is made afterwards is real


def test_a_sketch_of_vgg11_costs_no_memory() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    # Torch imports what it needs for sketches when it first makes one.
    trace_operations(sketch(reference.VGG, (((1, 1),),), {}), (torch.zeros(3, 1, 2, 2),))
    before = resident()
    net = sketch(reference.VGG, (VGG11,), {})
    found = trace_operations(net, (torch.zeros(3, 1, 224, 224),))
    grown = resident() - before
    parameters = find_learnable(net)
    assert sum(parameter.numel() for parameter in parameters.values()) == 128_806_154
    assert all(parameter.is_meta for parameter in parameters.values())
    assert found[-1][:2] == ("addmm", (3, 10))
    assert grown < 50e6  # its numbers alone would be 515 MB


@pytest.mark.parametrize(
    ("make", "image"),
    [
        (reference.LeNet, (1, 28, 28)),
        (lambda: reference.VGG(((1, 4), (2, 6))), (1, 16, 16)),
        (lambda: reference.Residual(4, True, 2), (3, 6, 6)),
        (reference.ResNet18, (1, 32, 32)),
    ],
)
def test_a_sketch_goes_through_the_same_operations_as_the_model(make: Any, image: tuple[int, ...]) -> None:
    X = torch.zeros(3, *image)
    assert trace_operations(sketch(make, (), {}), (X,)) == trace_operations(make(), (X,))


def test_operations_are_those_of_a_forward_pass_in_order() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 4))
    assert trace_operations(net, (torch.zeros(3, 1, 6, 6),)) == [
        ("convolution", (3, 2, 4, 4), ("0.weight", "0.bias")),
        ("relu", (3, 2, 4, 4), ()),
        ("max_pool2d_with_indices", (3, 2, 2, 2), ()),
        ("view", (3, 8), ()),
        ("addmm", (3, 4), ("4.bias", "4.weight")),
    ]


def test_only_what_carries_the_batch_dimension_is_an_operation() -> None:
    def forward(X: Tensor) -> Tensor:
        return X * 2 + torch.ones(7, 1).sum(dim=0) + X.sum()

    assert trace_operations(forward, (torch.zeros(3, 4),)) == [
        ("mul", (3, 4), ()),
        ("add", (3, 4), ()),
        ("add", (3, 4), ()),
    ]


class ByHand(nn.Module):
    """Gives its parameters to operations as views, transposed, and after a computation."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.ones(2, 3))
        self.matrix = nn.Parameter(torch.ones(6, 5))
        self.doubled = nn.Parameter(torch.ones(4, 5))

    def forward(self, X: Tensor) -> Tensor:
        X = F.conv2d(X, self.kernel[None, None])
        X = X.flatten(1)[:, :6] @ self.matrix
        return X @ (2 * self.doubled).T


@pytest.mark.parametrize("make", [ByHand, lambda: sketch(ByHand, (), {})], ids=["real", "sketched"])
def test_parameters_are_known_through_views_and_transposes_but_not_after_a_computation(make: Any) -> None:
    found = trace_operations(make(), (torch.zeros(3, 1, 4, 5),))
    used = [(name, parameters) for name, _, parameters in found if name in ("convolution", "mm")]
    assert used == [("convolution", ("kernel",)), ("mm", ("matrix",)), ("mm", ())]


def test_a_frozen_parameter_has_no_name_in_operations() -> None:
    layer = nn.Linear(3, 2)
    layer.weight.requires_grad_(False)
    assert trace_operations(layer, (torch.zeros(4, 3),)) == [("addmm", (4, 2), ("bias",))]


def test_building_lazy_layers_is_no_part_of_the_forward_pass() -> None:
    net = Lazy()
    found = trace_operations(net, (torch.zeros(3, 1, 5, 5),))
    assert net.passes == 2
    assert [(name, parameters) for name, _, parameters in found] == [
        ("convolution", ("net.0.weight", "net.0.bias")),
        ("native_batch_norm", ("net.1.weight", "net.1.bias")),
        ("view", ()),
        ("addmm", ("net.3.bias", "net.3.weight")),
    ]
    assert trace_operations(net, (torch.zeros(3, 1, 5, 5),)) == found
    assert net.passes == 3


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_inputs_take_the_modules_dtype(dtype: torch.dtype) -> None:
    assert names(nn.Linear(3, 2).to(dtype), torch.zeros(4, 3)) == ["addmm"]


def test_the_module_runs_in_eval_mode_without_gradients_and_stays_in_eval_mode() -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5), nn.BatchNorm1d(2))
    norm = net[2]
    assert isinstance(norm, nn.BatchNorm1d)
    assert norm.running_mean is not None
    before = norm.running_mean.clone()
    assert "bernoulli_" not in names(net, torch.randn(4, 3))
    assert torch.equal(norm.running_mean, before)
    assert not any(part.training for part in net.modules())


def test_the_number_of_operations_has_a_bound() -> None:
    def endless(X: Tensor) -> Tensor:
        for _ in range(6000):
            X = X + 1
        return X

    assert len(trace_operations(endless, (torch.zeros(2, 1),))) == 5000


@pytest.mark.parametrize("size", [(1, 14, 14), (3, 14, 14), (14, 14), (196,)])
def test_images_are_given_to_a_model_as_it_learned_them(size: tuple[int, ...]) -> None:
    seen: list[torch.Tensor] = []

    class Model(nn.Module):
        def forward(self, X: torch.Tensor) -> torch.Tensor:
            seen.append(X)
            return X.reshape(len(X), -1)[:, :14].reshape(len(X), 2, 7).mean(2)

    images = torch.zeros(3, 1, 28, 28, dtype=torch.uint8)
    images[1, :, :, 14:] = 255
    images[2, :, :, :14] = 255
    assert predict_classes(Model(), images, size, (-1.0, 1.0)).tolist() == [0, 1, 0]
    assert seen[0].shape == (3, *size)
    assert (float(seen[0].min()), float(seen[0].max())) == (-1.0, 1.0)
    assert predict_classes(Model(), images[:0], size, (0.0, 1.0)).shape == (0,)


class Seen(TorchDispatchMode):
    """Counts the operations that reach it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


aten = torch.ops.aten
X, SCALE = torch.empty(2, 3, 4, 4, device="meta"), torch.empty(3, device="meta")
ROWS, WEIGHT, BIAS = (torch.empty(shape, device="meta") for shape in ((2, 4), (3, 4), (3,)))
COMPUTED: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "relu": (aten.relu.default, (X,)),
    "add": (aten.add.Tensor, (X, X)),
    "batch_norm": (aten.batch_norm.default, (X, SCALE, SCALE, SCALE, SCALE, True, 0.1, 1e-5, True)),
    "in training": (aten.native_batch_norm.default, (X, SCALE, SCALE, SCALE, SCALE, True, 0.1, 1e-5)),
    "linear": (aten.linear.default, (ROWS, WEIGHT, BIAS)),
    "addmm": (aten.addmm.default, (BIAS, ROWS, WEIGHT.t())),
    "in eval": (aten.native_batch_norm.default, (X, None, None, SCALE, SCALE, False, 0.1, 1e-5)),
}
NOT_TOLD: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "numbers": (aten.relu.default, (torch.rand(2, 3),)),
    "whole numbers": (aten.sigmoid.default, (torch.empty(2, 3, device="meta", dtype=torch.int64),)),
    "another layout": (aten.relu.default, (X.permute(0, 2, 3, 1),)),
    "broadcast": (aten.add.Tensor, (X, X[:1])),
    "two dtypes": (aten.add.Tensor, (X, X.double())),
    "a number": (aten.add.Tensor, (X, 1)),
    "rows of rows": (aten.linear.default, (X, torch.empty(3, 4, device="meta"), BIAS)),
    "no bias": (aten.linear.default, (ROWS, WEIGHT)),
    "a bias for each row": (aten.addmm.default, (torch.empty(2, 1, device="meta"), ROWS, WEIGHT.t())),
    "no statistics": (aten.native_batch_norm.default, (X, SCALE, SCALE, None, None, True, 0.1, 1e-5)),
}


def described(result: Any) -> list[tuple[Any, ...]]:
    found = result if isinstance(result, tuple) else (result,)
    return [(each.shape, each.dtype, each.device, each.stride(), each.requires_grad) for each in found]


@pytest.mark.parametrize("case", [*COMPUTED, *NOT_TOLD])
def test_the_result_of_an_operation_is_described_as_torch_does(case: str) -> None:
    func, args = {**COMPUTED, **NOT_TOLD}[case]
    assert described(make_computed(func, args, {})) == described(func(*args))


@pytest.mark.parametrize("case", COMPUTED)
def test_without_numbers_the_shape_of_a_result_is_found_without_torch_s_python(case: str) -> None:
    func, args = COMPUTED[case]
    with Seen() as seen:
        make_computed(func, args, {})
    assert set(seen.names) == {"aten.empty.memory_format"}


def test_arguments_that_do_not_fit_are_left_to_torch_to_refuse() -> None:
    wrong = torch.empty(4, device="meta")
    for func, args in (
        (aten.native_batch_norm.default, (X, wrong, wrong, wrong, wrong, True, 0.1, 1e-5)),
        (aten.add.Tensor, (X, torch.empty(5, device="meta"))),
        (aten.linear.default, (ROWS, WEIGHT.t(), BIAS)),
        (aten.addmm.default, (wrong, ROWS, WEIGHT.t())),
    ):
        with pytest.raises(RuntimeError):
            make_computed(func, args, {})


def test_an_operation_with_a_gradient_goes_through_torch() -> None:
    given = X.clone().requires_grad_()
    assert make_computed(aten.relu.default, (given,), {}).requires_grad

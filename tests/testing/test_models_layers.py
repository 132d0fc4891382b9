"""Models are judged by the layers of a forward pass, and a message says what usually leads to a departure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from grader.models.modules import find_learnable, trace_operations
from grader.student import Operation
from grader.testing import Layer, Mismatch, assert_layers
from grader.testing.models import find_layers, format_shape


class Then(nn.Module):
    """A convolution of 1x8x8 to 2x8x8, then a function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 2, 3, padding=1)
        self.function = function

    def forward(self, X: Tensor) -> Tensor:
        return self.function(self.convolution(X))


def layers(module: nn.Module, image: tuple[int, ...] = (1, 8, 8)) -> tuple[Layer, ...]:
    found = tuple(Operation(*each) for each in trace_operations(module, (torch.zeros(3, *image),)))
    return find_layers(found, {name: tuple(parameter.shape) for name, parameter in find_learnable(module).items()})


def test_the_layers_are_those_of_the_forward_pass_whatever_holds_them() -> None:
    net = nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2)),
        nn.Sequential(nn.Flatten(), nn.Linear(96, 5), nn.ReLU(), nn.Linear(5, 4, bias=False)),
    )
    assert layers(net) == (
        Layer("convolution", (6, 8, 8), (6, 1, 5, 5), "sigmoid"),
        Layer("pooling", (6, 4, 4)),
        Layer("linear", (5,), (5, 96), "relu"),
        Layer("linear", (4,), (4, 5)),
    )


def windows(X: Tensor) -> Tensor:
    return X.unfold(2, 2, 2).unfold(3, 2, 2)


@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool2d(2),
        nn.AvgPool2d(2),
        nn.AdaptiveMaxPool2d(4),
        nn.AdaptiveAvgPool2d((4, 4)),
        nn.LPPool2d(1, 2),
        lambda X: windows(X).amax(dim=(4, 5)),
        lambda X: windows(X).mean(dim=(4, 5)),
        lambda X: windows(X).flatten(4).max(dim=4).values,
        lambda X: X.reshape(len(X), 2, 4, 2, 4, 2).mean(dim=(3, 5)),
        lambda X: torch.maximum(
            torch.maximum(X[..., ::2, ::2], X[..., 1::2, ::2]), torch.maximum(X[..., ::2, 1::2], X[..., 1::2, 1::2])
        ),
    ],
)
def test_a_pooling_is_seen_however_it_is_written(pool: Callable[[Tensor], Tensor]) -> None:
    assert [(each.kind, each.shape) for each in layers(Then(pool))] == [
        ("convolution", (2, 8, 8)),
        ("pooling", (2, 4, 4)),
    ]


@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool2d(1),
        nn.AvgPool2d(3, stride=1, padding=1),
        nn.AdaptiveAvgPool2d(8),
        nn.Softmax(dim=1),
        lambda X: X - X.mean(),
        lambda X: X.flatten(1).log_softmax(dim=1),
    ],
)
def test_what_changes_no_shape_is_no_pooling(pool: Callable[[Tensor], Tensor]) -> None:
    assert [each.kind for each in layers(Then(pool))] == ["convolution"]


@pytest.mark.parametrize(
    "pool", [nn.AdaptiveAvgPool2d(1), nn.AvgPool2d(8), lambda X: X.mean(dim=(2, 3)), lambda X: X.flatten(2).mean(2)]
)
def test_a_map_of_one_pixel_counts_as_flat(pool: Callable[[Tensor], Tensor]) -> None:
    assert layers(Then(pool))[-1] == Layer("pooling", (2,))
    net = nn.Sequential(nn.Conv2d(1, 5, 8), nn.ReLU(), nn.Conv2d(5, 4, 1))
    assert [(each.kind, each.shape) for each in layers(net)] == [("convolution", (5,)), ("convolution", (4,))]


@pytest.mark.parametrize(
    "padded",
    [
        nn.Conv2d(1, 2, 3, padding=1),
        nn.Conv2d(1, 2, 3, padding="same"),
        nn.Conv2d(1, 2, 3, padding=1, padding_mode="replicate"),
        nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(1, 2, 3)),
        nn.Sequential(nn.LazyConv2d(2, 3, padding=(1, 1))),
    ],
)
def test_padding_is_seen_in_the_shape_however_it_is_written(padded: nn.Module) -> None:
    assert layers(padded) == (Layer("convolution", (2, 8, 8), (2, 1, 3, 3)),)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (nn.ReLU(), "relu"),
        (nn.ReLU(inplace=True), "relu"),
        (lambda X: X.clamp(min=0), "relu"),
        (lambda X: X.clamp_min(0), "relu"),
        (lambda X: torch.maximum(X, torch.zeros_like(X)), "relu"),
        (lambda X: torch.max(X, torch.zeros_like(X)), "relu"),
        (lambda X: F.threshold(X, 0, 0), "relu"),
        (lambda X: torch.where(X > 0, X, 0.0), "relu"),
        (lambda X: X * (X > 0), "relu"),
        (lambda X: X.masked_fill(X < 0, 0), "relu"),
        (nn.Sigmoid(), "sigmoid"),
        (lambda X: X.sigmoid_(), "sigmoid"),
        (lambda X: 1 / (1 + torch.exp(-X)), "sigmoid"),
        (lambda X: (1 + (-X).exp()).reciprocal(), "sigmoid"),
        (lambda X: X.exp() / (1 + X.exp()), "sigmoid"),
        (lambda X: (1 + torch.exp(-X)) ** -1, "sigmoid"),
        (nn.Tanh(), "tanh"),
        (nn.GELU(), "gelu"),
        (nn.LeakyReLU(), "leaky_relu"),
        (nn.Sequential(nn.MaxPool2d(2), nn.ReLU()), "relu"),
        (nn.Sequential(nn.BatchNorm2d(2), nn.Dropout(), nn.ReLU(), nn.Sigmoid()), "relu"),
        (nn.Identity(), ""),
        (nn.BatchNorm2d(2), ""),
        (lambda X: X * 2 + 1, ""),
        (lambda X: X.exp(), ""),
    ],
)
def test_an_activation_has_its_name_however_it_is_written(function: Callable[[Tensor], Tensor], name: str) -> None:
    found = layers(nn.Sequential(Then(function), nn.Flatten(), nn.LazyLinear(3), nn.Tanh()))
    assert found[0].activation == name
    assert found[-1].activation == "tanh"


def test_a_weight_that_was_computed_first_is_not_seen() -> None:
    class Scaled(nn.Conv2d):
        def forward(self, X: Tensor) -> Tensor:
            return F.conv2d(X, 2 * self.weight, self.bias)

    assert layers(Scaled(1, 2, 3)) == (Layer("convolution", (2, 6, 6)),)


CONVOLUTION = Layer("convolution", (6, 28, 28), (6, 1, 5, 5), "relu", "block 1, convolution")
POOLING = Layer("pooling", (6, 14, 14), name="block 1, pooling")
HIDDEN = Layer("linear", (120,), (120, 1176), "relu")
OUTPUT = Layer("linear", (10,), (10, 120), name="the output layer")
RIGHT = (CONVOLUTION, POOLING, HIDDEN, OUTPUT)


def like(layer: Layer, **others: Any) -> Layer:
    values = {"kind": layer.kind, "shape": layer.shape, "weight": layer.weight, "activation": layer.activation}
    return Layer(**{**values, **others})


@pytest.mark.parametrize(
    "found",
    [
        RIGHT,
        [like(each) for each in RIGHT],
        (CONVOLUTION, POOLING, like(HIDDEN, kind="convolution", weight=(120, 6, 14, 14)), OUTPUT),
        (CONVOLUTION, POOLING, like(HIDDEN, weight=(1176, 120)), OUTPUT),
        (CONVOLUTION, POOLING, like(HIDDEN, weight=()), OUTPUT),
        (CONVOLUTION, POOLING, HIDDEN, like(OUTPUT, activation="sigmoid")),
    ],
)
def test_layers_that_agree_pass(found: Sequence[Layer]) -> None:
    assert_layers(found, RIGHT, activations=("relu",))


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (
            (CONVOLUTION, like(CONVOLUTION, shape=(16, 10, 10)), HIDDEN, OUTPUT),
            "block 1, pooling gives 16x10x10 (convolution), expected pooling giving 6x14x14: "
            "is a pooling layer missing?",
        ),
        (
            (CONVOLUTION, POOLING, like(POOLING, shape=(6, 7, 7)), HIDDEN, OUTPUT),
            "layer 3 gives 6x7x7 (pooling), expected linear giving 120: is this pooling layer one too many?",
        ),
        (
            (CONVOLUTION, POOLING, like(HIDDEN, shape=(6, 14, 120)), OUTPUT),
            "layer 3 gives 6x14x120 (linear), expected linear giving 120: is a layer missing, or the flattening?",
        ),
        (
            (like(CONVOLUTION, shape=(8, 28, 28)), POOLING, HIDDEN, OUTPUT),
            "block 1, convolution gives 8x28x28 (convolution), expected convolution giving 6x28x28: "
            "look at the number of channels",
        ),
        (
            (CONVOLUTION, POOLING, HIDDEN, like(OUTPUT, shape=(100,))),
            "the output layer gives 100 (linear), expected linear giving 10: look at the number of outputs",
        ),
        (
            (CONVOLUTION, like(POOLING, shape=(6, 28, 28)), HIDDEN, OUTPUT),
            "block 1, pooling gives 6x28x28 (pooling), expected pooling giving 6x14x14: is a stride missing?",
        ),
        (
            (like(CONVOLUTION, shape=(6, 24, 24)), POOLING, HIDDEN, OUTPUT),
            "block 1, convolution gives 6x24x24 (convolution), expected convolution giving 6x28x28: "
            "look at the kernel size, padding and stride",
        ),
        (RIGHT[:3], "the output layer is missing: expected linear giving 10, found nothing more"),
        ((), "block 1, convolution is missing: expected convolution giving 6x28x28, found nothing more"),
        (
            (*RIGHT, like(OUTPUT, shape=(2,)), OUTPUT),
            "after the last layer a linear giving 2 follows, expected 10 at the end",
        ),
        (
            (like(CONVOLUTION, weight=(6, 1, 3, 3)), POOLING, HIDDEN, OUTPUT),
            "block 1, convolution has a weight of 6x1x3x3, expected 6x1x5x5",
        ),
    ],
)
def test_the_message_names_the_first_layer_that_departs_and_what_usually_leads_to_it(
    found: Sequence[Layer], message: str
) -> None:
    with pytest.raises(Mismatch) as raised:
        assert_layers(found, RIGHT, activations=("relu",))
    assert str(raised.value) == message
    stages = raised.value.evidence["stages"]
    assert [stage["expected"] for stage in stages[:4]] == [[6, 28, 28], [6, 14, 14], [120], [10]]
    assert [stage["found"] for stage in stages if stage["found"]] == [list(each.shape) for each in found]
    assert [stage["layer"] for stage in stages[:4]] == [
        "block 1, convolution",
        "block 1, pooling",
        "linear",
        OUTPUT.name,
    ]


@pytest.mark.parametrize(
    ("activation", "allowed", "message"),
    [
        ("", ("relu",), "expected relu after linear (120), found none"),
        ("tanh", ("sigmoid", "relu"), "expected sigmoid or relu after linear (120), found tanh"),
    ],
)
def test_every_layer_with_weights_but_the_last_needs_an_activation(
    activation: str, allowed: tuple[str, ...], message: str
) -> None:
    found = (CONVOLUTION, POOLING, like(HIDDEN, activation=activation), OUTPUT)
    with pytest.raises(Mismatch) as raised:
        assert_layers(found, RIGHT, activations=allowed)
    assert str(raised.value) == message
    assert_layers(found, RIGHT)


def test_shapes_are_written_as_in_the_textbook() -> None:
    assert [format_shape(shape) for shape in ((64, 112, 112), (10,), ())] == ["64x112x112", "10", "one number"]

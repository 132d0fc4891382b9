"""The reference of section 7.6 against torch's own operations."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import reference


def test_lenet_has_the_shapes_and_parameters_of_the_book() -> None:
    net = reference.LeNet()
    X, shapes = torch.randn(2, 1, 28, 28), []
    for layer in (*net.features, *net.classifier):
        X = layer(X)
        shapes.append(tuple(X.shape[1:]))
    distinct = list(dict.fromkeys(shapes))
    assert distinct == [(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5), (400,), (120,), (84,), (10,)]
    assert sum(parameter.numel() for parameter in net.parameters()) == 61_706


def test_lenet_computes_what_torchs_operations_do() -> None:
    net, X = reference.LeNet(num_classes=7), torch.randn(2, 1, 28, 28)
    (w1, b1), (w2, b2), (w3, b3), (w4, b4), (w5, b5) = zip(*[iter(net.parameters())] * 2, strict=True)
    Y = F.avg_pool2d(torch.sigmoid(F.conv2d(X, w1, b1, padding=2)), 2)
    Y = F.avg_pool2d(torch.sigmoid(F.conv2d(Y, w2, b2)), 2).flatten(1)
    Y = F.linear(torch.sigmoid(F.linear(torch.sigmoid(F.linear(Y, w3, b3)), w4, b4)), w5, b5)
    assert tuple(Y.shape) == (2, 7)
    torch.testing.assert_close(net(X), Y)


@pytest.mark.parametrize(
    ("layer", "inputs_and_outputs"),
    [
        (nn.Linear(40, 30), 70),
        (nn.Linear(15, 60), 75),
        (nn.Conv2d(3, 8, 5), (3 + 8) * 25),
        (nn.Conv2d(16, 4, (3, 1)), (16 + 4) * 3),
    ],
)
def test_init_cnn_draws_weights_up_to_their_xavier_bound(layer: nn.Module, inputs_and_outputs: int) -> None:
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, nn.Parameter)
    assert isinstance(bias, nn.Parameter)
    nn.init.constant_(weight, 7.0)
    nn.init.constant_(bias, 7.0)
    reference.init_cnn(layer)
    bound = math.sqrt(6 / inputs_and_outputs)
    drawn = weight.detach()
    assert 0.9 * bound < float(drawn.abs().max()) <= bound * (1 + 1e-6)
    assert float(drawn.std()) == pytest.approx(bound / math.sqrt(3), rel=0.15)  # as uniform numbers have it
    assert bool((bias == 7).all())


@pytest.mark.parametrize("layer", [nn.BatchNorm2d(4), nn.LayerNorm(4), nn.Conv1d(2, 3, 2)])
def test_init_cnn_leaves_other_layers_alone(layer: nn.Module) -> None:
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    reference.init_cnn(layer)
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())


def test_init_cnn_can_be_applied_to_a_whole_model() -> None:
    net = reference.LeNet()
    for parameter in net.parameters():
        nn.init.constant_(parameter, 7.0)
    net.apply(reference.init_cnn)
    drawn = {name for name, parameter in net.named_parameters() if not bool((parameter == 7).any())}
    assert drawn == {name for name, _ in net.named_parameters() if name.endswith("weight")}

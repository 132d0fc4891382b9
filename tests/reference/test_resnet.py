"""The reference of section 8.6 against torch's own operations."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import reference

BLOCKS = [(3, 3, False, 1), (3, 6, True, 2), (4, 4, True, 1), (2, 2, False, 1), (2, 5, True, 3)]


def normalised(X: Tensor, norm: nn.Module) -> Tensor:
    """Return X normalised, from batch statistics in train mode and from running ones in eval mode."""
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean, variance = norm.running_mean.clone(), norm.running_var.clone()  # train mode would change them
    return F.batch_norm(X, mean, variance, norm.weight, norm.bias, training=norm.training)


def by_hand(block: nn.Module, X: Tensor, strides: int) -> Tensor:
    layers = dict(block.named_children())
    conv1, conv2, conv3 = layers["conv1"], layers["conv2"], layers.get("conv3")
    assert isinstance(conv1, nn.Conv2d)
    assert isinstance(conv2, nn.Conv2d)
    Y = F.relu(normalised(F.conv2d(X, conv1.weight, conv1.bias, strides, padding=1), layers["bn1"]))
    Y = normalised(F.conv2d(Y, conv2.weight, conv2.bias, padding=1), layers["bn2"])
    if isinstance(conv3, nn.Conv2d):
        X = F.conv2d(X, conv3.weight, conv3.bias, strides)
    return F.relu(Y + X)


@pytest.mark.parametrize(("inputs", "outputs", "use_1x1conv", "strides"), BLOCKS)
def test_residual_adds_its_shortcut_in_train_and_in_eval_mode(
    inputs: int, outputs: int, use_1x1conv: bool, strides: int
) -> None:
    block, X = reference.Residual(outputs, use_1x1conv, strides), torch.randn(4, inputs, 7, 9)
    block(X)  # its layers are lazy
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    for mode in (True, False, True):  # each training pass changes the running statistics
        block.train(mode)
        expected = by_hand(block, X, strides)
        torch.testing.assert_close(block(X), expected)
        assert tuple(expected.shape) == (4, outputs, -(-7 // strides), -(-9 // strides))
    assert not torch.allclose(block.eval()(X), block.train()(X))


def test_residual_has_a_1x1_convolution_only_where_it_is_asked_for() -> None:
    names = {name for name, _ in reference.Residual(3).named_parameters()}
    assert {name for name, _ in reference.Residual(3, True).named_parameters()} - names == {
        "conv3.weight",
        "conv3.bias",
    }


def test_resnet18_has_the_shapes_and_parameters_of_the_book() -> None:
    net = reference.ResNet18().eval()
    X, shapes = torch.randn(1, 1, 96, 96), []
    with torch.no_grad():
        for part in net.net:
            X = part(X)
            shapes.append(tuple(X.shape[1:]))
    assert shapes[:4] == [(64, 48, 48)] * 3 + [(64, 24, 24)]
    assert shapes[4:12] == [
        *[(64, 24, 24)] * 2,
        *[(128, 12, 12)] * 2,
        *[(256, 6, 6)] * 2,
        *[(512, 3, 3)] * 2,
    ]
    assert shapes[12:] == [(512, 1, 1), (512,), (10,)]
    assert sum(parameter.numel() for parameter in net.parameters()) == 11_178_378


def test_resnet18s_stem_is_a_convolution_a_normalisation_relu_and_a_pooling() -> None:
    net, X = reference.ResNet18(num_classes=3).eval(), torch.randn(2, 3, 64, 64)
    assert tuple(net(X).shape) == (2, 3)
    convolution = net.net[0]
    assert isinstance(convolution, nn.Conv2d)
    Y = F.conv2d(X, convolution.weight, convolution.bias, stride=2, padding=3)
    Y = F.max_pool2d(F.relu(normalised(Y, net.net[1])), 3, stride=2, padding=1)
    torch.testing.assert_close(net.net[:4](X), Y)
    pooled = net.net[4:12](Y).mean(dim=(2, 3))
    head = net.net[-1]
    assert isinstance(head, nn.Linear)
    torch.testing.assert_close(net(X), F.linear(pooled, head.weight, head.bias))

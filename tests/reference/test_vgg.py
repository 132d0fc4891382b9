"""The reference of section 8.2; VGG-11's 129 million numbers stand on torch's meta device, which keeps none."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

import reference

VGG11 = ((1, 64), (1, 128), (2, 256), (2, 512), (2, 512))


@pytest.mark.parametrize(("num_convs", "out_channels"), [(1, 4), (2, 3), (3, 5)])
def test_vgg_block_is_convolutions_with_relu_and_a_pooling(num_convs: int, out_channels: int) -> None:
    block, X = reference.vgg_block(num_convs, out_channels), torch.randn(2, 3, 7, 10)
    found = block(X)
    parameters = list(block.parameters())
    assert len(parameters) == 2 * num_convs
    Y = X
    for weight, bias in zip(parameters[::2], parameters[1::2], strict=True):
        Y = F.relu(F.conv2d(Y, weight, bias, padding=1))
    Y = F.max_pool2d(Y, 2)
    assert tuple(Y.shape) == (2, out_channels, 3, 5)
    torch.testing.assert_close(found, Y)


def test_vgg11_has_the_shapes_and_parameters_of_the_book() -> None:
    with torch.device("meta"):
        net = reference.VGG(VGG11)
        X, shapes = torch.empty(2, 1, 224, 224), []
        for part in (*net.blocks, *net.classifier):
            X = part(X)
            shapes.append(tuple(X.shape[1:]))
    assert shapes[:5] == [(64, 112, 112), (128, 56, 56), (256, 28, 28), (512, 14, 14), (512, 7, 7)]
    assert list(dict.fromkeys(shapes[5:])) == [(25088,), (4096,), (10,)]
    assert all(parameter.is_meta for parameter in net.parameters())
    assert sum(parameter.numel() for parameter in net.parameters()) == 128_806_154


def test_vgg_computes_its_blocks_and_three_fully_connected_layers() -> None:
    net = reference.VGG(((1, 2), (2, 3)), num_classes=4).eval()
    X = torch.randn(2, 1, 8, 8)
    found = net(X)
    *_, w1, b1, w2, b2, w3, b3 = net.parameters()
    Y = net.blocks[1](net.blocks[0](X)).flatten(1)
    Y = F.linear(F.relu(F.linear(F.relu(F.linear(Y, w1, b1)), w2, b2)), w3, b3)
    assert tuple(Y.shape) == (2, 4)
    torch.testing.assert_close(found, Y)


def test_vgg_drops_half_of_what_it_is_trained_with() -> None:
    rates = [part.p for part in reference.VGG(VGG11).classifier if isinstance(part, torch.nn.Dropout)]
    assert rates == [0.5, 0.5]

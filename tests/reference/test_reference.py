"""The reference against torch's own operations."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

import reference

SIZES = [((3, 3), (2, 2)), ((6, 8), (1, 2)), ((5, 4), (5, 4)), ((4, 7), (1, 1)), ((7, 5), (2, 4))]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize(("image", "kernel"), SIZES)
def test_corr2d_is_torchs_convolution(image: tuple[int, int], kernel: tuple[int, int]) -> None:
    X, K = torch.randn(image), torch.randn(kernel)
    torch.testing.assert_close(reference.corr2d(X, K), F.conv2d(X[None, None], K[None, None])[0, 0])


def test_corr2d_gives_the_books_example() -> None:
    X, K = torch.arange(9.0).reshape(3, 3), torch.arange(4.0).reshape(2, 2)
    assert reference.corr2d(X, K).tolist() == [[19, 25], [37, 43]]


def test_conv2d_adds_its_bias_and_learns() -> None:
    layer, X = reference.Conv2D((2, 3)), torch.randn(4, 5)
    with torch.no_grad():
        layer.bias.fill_(0.5)
    layer(X).sum().backward()
    torch.testing.assert_close(layer(X), reference.corr2d(X, layer.weight) + 0.5)
    assert layer.weight.grad is not None
    assert layer.bias.grad is not None


def test_the_kernel_finds_the_edges_of_the_image() -> None:
    X, K = reference.edge_image(), reference.edge_kernel()
    assert reference.corr2d(X, K).tolist() == [[0, 1, 0, 0, 0, -1, 0]] * 6
    assert not reference.corr2d(X.T, K).any()


@pytest.mark.parametrize(
    ("k", "padding", "stride", "expected"),
    [
        ((3, 3), (1, 1), (1, 1), (8, 8)),
        ((5, 3), (2, 1), (1, 1), (8, 8)),
        ((3, 3), (1, 1), (2, 2), (4, 4)),
        ((3, 5), (0, 1), (3, 4), (2, 2)),
    ],
)
def test_output_shape_is_that_of_torchs_layer(
    k: tuple[int, int], padding: tuple[int, int], stride: tuple[int, int], expected: tuple[int, int]
) -> None:
    layer = torch.nn.Conv2d(1, 1, kernel_size=k, padding=padding, stride=stride)
    assert tuple(reference.comp_conv2d(layer, torch.rand(8, 8)).shape) == expected
    assert reference.output_shape((8, 8), k, (2 * padding[0], 2 * padding[1]), stride) == expected


@pytest.mark.parametrize(("image", "window"), SIZES)
def test_pool2d_is_torchs_pooling_with_stride_1(image: tuple[int, int], window: tuple[int, int]) -> None:
    X = torch.randn(image) - 3
    torch.testing.assert_close(reference.pool2d(X, window), F.max_pool2d(X[None], window, stride=1)[0])
    torch.testing.assert_close(reference.pool2d(X, window, "avg"), F.avg_pool2d(X[None], window, stride=1)[0])


def test_pool2d_refuses_another_mode() -> None:
    with pytest.raises(ValueError, match="'max' or 'avg'"):
        reference.pool2d(torch.zeros(2, 2), (1, 1), "min")


def test_lenet_has_the_shapes_and_parameters_of_the_book() -> None:
    net = reference.LeNet()
    X, shapes = torch.randn(2, 1, 28, 28), []
    for layer in (*net.features, *net.classifier):
        X = layer(X)
        shapes.append(tuple(X.shape[1:]))
    distinct = list(dict.fromkeys(shapes))
    assert distinct == [(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5), (400,), (120,), (84,), (10,)]
    assert sum(parameter.numel() for parameter in net.parameters()) == 61_706

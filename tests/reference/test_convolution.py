"""The reference of section 7.2 against torch's own convolution."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

import reference

SIZES = [((3, 3), (2, 2)), ((6, 8), (1, 2)), ((5, 4), (5, 4)), ((4, 7), (1, 1)), ((7, 5), (2, 4))]


@pytest.mark.parametrize(("image", "kernel"), SIZES)
def test_corr2d_is_torchs_convolution(image: tuple[int, int], kernel: tuple[int, int]) -> None:
    X, K = torch.randn(image), torch.randn(kernel)
    torch.testing.assert_close(reference.corr2d(X, K), F.conv2d(X[None, None], K[None, None])[0, 0])


def test_corr2d_gives_the_books_example() -> None:
    X, K = torch.arange(9.0).reshape(3, 3), torch.arange(4.0).reshape(2, 2)
    assert reference.corr2d(X, K).tolist() == [[19, 25], [37, 43]]


def test_corr2d_has_its_inputs_common_dtype_and_changes_neither() -> None:
    X, K = torch.ones(3, 3), torch.ones(2, 2, dtype=torch.float64)
    assert reference.corr2d(X, K).dtype == torch.float64
    assert reference.corr2d(X.long(), K.long()).dtype == torch.int64
    assert torch.equal(X, torch.ones(3, 3))
    assert torch.equal(K, torch.ones(2, 2, dtype=torch.float64))


def test_conv2d_adds_its_bias_and_learns() -> None:
    layer, X = reference.Conv2D((2, 3)), torch.randn(4, 5)
    with torch.no_grad():
        layer.bias.fill_(0.5)
    expected = F.conv2d(X[None, None], layer.weight[None, None], layer.bias)[0, 0]
    torch.testing.assert_close(layer(X), expected)
    cotangent = torch.randn(3, 3)
    layer(X).backward(cotangent)
    weight, bias = torch.autograd.grad(expected, (layer.weight, layer.bias), cotangent)
    torch.testing.assert_close(layer.weight.grad, weight)
    torch.testing.assert_close(layer.bias.grad, bias)


def test_the_edge_image_is_white_with_four_black_columns() -> None:
    assert reference.edge_image().tolist() == [[1, 1, 0, 0, 0, 0, 1, 1]] * 6


def test_the_kernel_finds_the_edges_of_the_image() -> None:
    X, K = reference.edge_image(), reference.edge_kernel()
    assert F.conv2d(X[None, None], K[None, None])[0, 0].tolist() == [[0, 1, 0, 0, 0, -1, 0]] * 6
    assert reference.corr2d(X, K).tolist() == [[0, 1, 0, 0, 0, -1, 0]] * 6
    assert not reference.corr2d(X.T, K).any()


@pytest.mark.parametrize("seed", range(12))
def test_the_learned_kernel_is_close_to_the_one_that_made_the_data(seed: int) -> None:
    torch.manual_seed(seed)
    X, K = reference.edge_image(), reference.edge_kernel()
    layer = reference.learn_kernel(X, reference.corr2d(X, K))
    assert layer.bias is None
    assert tuple(layer.weight.shape) == (1, 1, 1, 2)
    assert float((layer.weight.detach().reshape(1, 2) - K).abs().max()) < 0.15

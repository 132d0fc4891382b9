"""The reference of section 7.3 against torch's own layer."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import reference


@pytest.mark.parametrize(
    ("k", "padding", "stride", "expected"),
    [
        ((3, 3), (1, 1), (1, 1), (8, 8)),
        ((5, 3), (2, 1), (1, 1), (8, 8)),
        ((3, 3), (1, 1), (2, 2), (4, 4)),
        ((3, 5), (0, 1), (3, 4), (2, 2)),
    ],
)
def test_output_shape_is_that_of_the_book(
    k: tuple[int, int], padding: tuple[int, int], stride: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert reference.output_shape((8, 8), k, (2 * padding[0], 2 * padding[1]), stride) == expected


def test_output_shape_is_that_of_torchs_layer_for_every_small_size() -> None:
    for n, k, padding, stride in product(range(4, 9), range(1, 5), range(3), range(1, 4)):
        Y = F.conv2d(torch.zeros(1, 1, n, 4), torch.zeros(1, 1, k, 4), padding=(padding, 0), stride=(stride, 1))
        found = reference.output_shape((n, 4), (k, 4), (2 * padding, 0), (stride, 1))
        assert found == tuple(Y.shape[2:]), (n, k, padding, stride)
        assert reference.output_shape((4, n), (4, k), (0, 2 * padding), (1, stride)) == found[::-1]


def test_comp_conv2d_gives_the_map_of_the_layer() -> None:
    layer, X = nn.Conv2d(1, 1, kernel_size=(3, 2), padding=(1, 2), stride=(2, 3)), torch.randn(6, 7)
    Y = F.conv2d(X[None, None], layer.weight, layer.bias, padding=(1, 2), stride=(2, 3))
    assert tuple(Y.shape) == (1, 1, 3, 4)
    torch.testing.assert_close(reference.comp_conv2d(layer, X), Y[0, 0])

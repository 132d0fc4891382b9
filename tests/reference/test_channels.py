"""The reference of section 7.4 against torch's own convolution."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

import reference

SIZES = [
    (1, 1, (4, 6), (2, 3)),
    (3, 1, (4, 5), (2, 2)),
    (2, 4, (5, 4), (3, 1)),
    (4, 3, (3, 6), (3, 6)),
    (5, 2, (3, 4), (1, 1)),
]


@pytest.mark.parametrize(("inputs", "outputs", "image", "kernel"), SIZES)
def test_the_channels_are_those_of_torchs_convolution(
    inputs: int, outputs: int, image: tuple[int, int], kernel: tuple[int, int]
) -> None:
    X, K = torch.randn(inputs, *image), torch.randn(outputs, inputs, *kernel)
    expected = F.conv2d(X[None], K)[0]
    torch.testing.assert_close(reference.corr2d_multi_in_out(X, K), expected)
    torch.testing.assert_close(reference.corr2d_multi_in(X, K[0]), expected[0])
    if kernel == (1, 1):
        torch.testing.assert_close(reference.corr2d_multi_in_out_1x1(X, K), expected)


def test_both_ways_to_a_1x1_convolution_agree_on_images_that_are_not_square() -> None:
    X, K = torch.randn(3, 4, 7), torch.randn(5, 3, 1, 1)
    torch.testing.assert_close(reference.corr2d_multi_in_out_1x1(X, K), F.conv2d(X[None], K)[0])
    torch.testing.assert_close(reference.corr2d_multi_in_out_1x1(X, K), reference.corr2d_multi_in_out(X, K))


def test_the_books_examples_come_out() -> None:
    X = torch.stack((torch.arange(9.0).reshape(3, 3), torch.arange(1.0, 10).reshape(3, 3)))
    K = torch.stack((torch.arange(4.0).reshape(2, 2), torch.arange(1.0, 5).reshape(2, 2)))
    assert reference.corr2d_multi_in(X, K).tolist() == [[56, 72], [104, 120]]
    assert reference.corr2d_multi_in_out(X, torch.stack((K, K + 1, K + 2))).tolist() == [
        [[56, 72], [104, 120]],
        [[76, 100], [148, 172]],
        [[96, 128], [192, 224]],
    ]


def test_an_image_with_more_channels_than_the_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        reference.corr2d_multi_in(torch.ones(3, 4, 4), torch.ones(2, 2, 2))

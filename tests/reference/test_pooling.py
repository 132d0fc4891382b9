"""The reference of section 7.5 against torch's own pooling."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

import reference

SIZES = [((3, 3), (2, 2)), ((6, 8), (1, 2)), ((5, 4), (5, 4)), ((4, 7), (1, 1)), ((7, 5), (2, 4))]


@pytest.mark.parametrize(("image", "window"), SIZES)
def test_pool2d_is_torchs_pooling_with_stride_1(image: tuple[int, int], window: tuple[int, int]) -> None:
    X = torch.randn(image) - 3
    torch.testing.assert_close(reference.pool2d(X, window), F.max_pool2d(X[None], window, stride=1)[0])
    torch.testing.assert_close(reference.pool2d(X, window, "avg"), F.avg_pool2d(X[None], window, stride=1)[0])


def test_pool2d_refuses_another_mode() -> None:
    with pytest.raises(ValueError, match="'max' or 'avg'"):
        reference.pool2d(torch.zeros(2, 2), (1, 1), "min")

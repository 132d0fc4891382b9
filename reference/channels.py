"""Multiple input and multiple output channels: d2l.ai section 7.4."""

from __future__ import annotations

import torch
from torch import Tensor

from reference.convolution import corr2d

__all__ = ["corr2d_multi_in", "corr2d_multi_in_out", "corr2d_multi_in_out_1x1"]


def corr2d_multi_in(X: Tensor, K: Tensor) -> Tensor:
    """Return the cross-correlation of an image of several channels: the sum over its channels (7.4.1).

    Args:
        X: the image, (c_i, n_h, n_w).
        K: a kernel for each channel, (c_i, k_h, k_w).

    Returns:
        (n_h - k_h + 1, n_w - k_w + 1), of the inputs' common dtype.
    """
    return torch.stack([corr2d(x, k) for x, k in zip(X, K, strict=True)]).sum(dim=0)


def corr2d_multi_in_out(X: Tensor, K: Tensor) -> Tensor:
    """Return one map for each output channel: the cross-correlation with each of the kernels (7.4.2).

    Args:
        X: the image, (c_i, n_h, n_w).
        K: the kernels, (c_o, c_i, k_h, k_w).

    Returns:
        (c_o, n_h - k_h + 1, n_w - k_w + 1), of the inputs' common dtype.
    """
    return torch.stack([corr2d_multi_in(X, k) for k in K])


def corr2d_multi_in_out_1x1(X: Tensor, K: Tensor) -> Tensor:
    """Return the cross-correlation with 1x1 kernels, as a matrix product over the channels (7.4.3).

    Args:
        X: the image, (c_i, h, w).
        K: the kernels, (c_o, c_i, 1, 1).

    Returns:
        (c_o, h, w), of the inputs' dtype, which must be the same.
    """
    c_i, h, w = X.shape
    c_o = K.shape[0]
    Y = K.reshape(c_o, c_i) @ X.reshape(c_i, h * w)  # a fully connected layer for each pixel
    return Y.reshape(c_o, h, w)

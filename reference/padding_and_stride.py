"""Padding and stride: d2l.ai section 7.3."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["comp_conv2d", "output_shape"]


def output_shape(n: tuple[int, int], k: tuple[int, int], p: tuple[int, int], s: tuple[int, int]) -> tuple[int, int]:
    """Return the height and width of a layer's output: floor((n - k + p + s) / s) in each direction (7.3.2).

    Args:
        n: the image's height and width.
        k: the kernel's height and width.
        p: the total padding of both sides: twice the padding argument of nn.Conv2d.
        s: the strides.
    """
    h, w = ((n_i - k_i + p_i + s_i) // s_i for n_i, k_i, p_i, s_i in zip(n, k, p, s, strict=True))
    return h, w


def comp_conv2d(layer: nn.Module, X: Tensor) -> Tensor:
    """Apply a layer of one input and one output channel to an image without batch and channel dimensions (7.3.1).

    Args:
        layer: maps (1, 1, n_h, n_w) to (1, 1, h, w).
        X: the image, (n_h, n_w).

    Returns:
        (h, w), see `output_shape`.
    """
    Y: Tensor = layer(X[None, None])  # (1, 1, h, w)
    return Y[0, 0]

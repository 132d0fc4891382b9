"""Pooling: d2l.ai section 7.5."""

from __future__ import annotations

from torch import Tensor

__all__ = ["pool2d"]


def pool2d(X: Tensor, pool_size: tuple[int, int], mode: str = "max") -> Tensor:
    """Return the maximum or the mean of each window of an image, with stride 1 (7.5.1).

    Args:
        X: the image, (n_h, n_w), floating.
        pool_size: the window, (p_h, p_w), no larger than the image.
        mode: "max" or "avg".

    Returns:
        (n_h - p_h + 1, n_w - p_w + 1), of the image's dtype.

    Raises:
        ValueError: the mode is unknown.
    """
    p_h, p_w = pool_size
    windows = X.unfold(0, p_h, 1).unfold(1, p_w, 1)  # (n_h - p_h + 1, n_w - p_w + 1, p_h, p_w)
    if mode == "max":
        return windows.amax(dim=(2, 3))
    if mode == "avg":
        return windows.mean(dim=(2, 3))
    raise ValueError(f"mode must be 'max' or 'avg', not {mode!r}")

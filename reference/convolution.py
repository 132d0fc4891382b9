"""Convolutions for images: d2l.ai section 7.2."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Conv2D", "corr2d", "edge_image", "edge_kernel", "learn_kernel"]


def corr2d(X: Tensor, K: Tensor) -> Tensor:
    """Return the 2-D cross-correlation of an image with a kernel (7.2.1).

    Args:
        X: the image, (n_h, n_w).
        K: the kernel, (k_h, k_w), no larger than the image.

    Returns:
        (n_h - k_h + 1, n_w - k_w + 1), of the inputs' common dtype.
    """
    k_h, k_w = K.shape
    windows = X.unfold(0, k_h, 1).unfold(1, k_w, 1)  # (n_h - k_h + 1, n_w - k_w + 1, k_h, k_w)
    return (windows * K).sum((2, 3), dtype=torch.result_type(X, K))


class Conv2D(nn.Module):
    """A convolutional layer for one image: cross-correlation plus a scalar bias (7.2.2).

    Args:
        kernel_size: (k_h, k_w).
    """

    def __init__(self, kernel_size: tuple[int, int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(kernel_size))  # (k_h, k_w)
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, X: Tensor) -> Tensor:
        """Map (n_h, n_w) to (n_h - k_h + 1, n_w - k_w + 1)."""
        return corr2d(X, self.weight) + self.bias


def edge_image() -> Tensor:
    """Return the white 6x8 image whose middle four columns are black (7.2.3)."""
    X = torch.ones(6, 8)
    X[:, 2:6] = 0
    return X


def edge_kernel() -> Tensor:
    """Return the 1x2 kernel that is the difference of horizontal neighbours (7.2.3)."""
    return torch.tensor([[1.0, -1.0]])


def learn_kernel(X: Tensor, Y: Tensor) -> nn.Conv2d:
    """Learn in ten steps the 1x2 kernel that maps X to Y, and return its layer without bias (7.2.4).

    Args:
        X: the image, (n_h, n_w).
        Y: the desired output, (n_h, n_w - 1).
    """
    layer = nn.Conv2d(1, 1, kernel_size=(1, 2), bias=False)
    optimizer = torch.optim.SGD(layer.parameters(), lr=3e-2)
    for _ in range(10):
        loss = ((layer(X[None, None]) - Y[None, None]) ** 2).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return layer

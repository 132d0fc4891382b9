"""Typical mistakes with pooling: d2l.ai section 7.5."""

import torch
from torch import Tensor
from torch.nn import functional as F

from grader.testing import misconception

MAX = ("pool2d.max",)
AVG = ("pool2d.avg",)
VALUES = (*MAX, *AVG)
SIZES = (*VALUES, "pool2d.shape")


@misconception(
    "pool2d",
    breaks=AVG,
    says="pool2d takes the maximum with mode 'avg' too",
    look="there it is the mean of each window",
)
def mode_ignored(X: Tensor, pool_size: tuple[int, int], mode: str = "max") -> Tensor:
    p_h, p_w = pool_size
    Y = torch.zeros(X.shape[0] - p_h + 1, X.shape[1] - p_w + 1)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = X[i : i + p_h, j : j + p_w].max()
    return Y


@misconception(
    "pool2d",
    breaks=AVG,
    says="with mode 'avg' pool2d leaves its output at zero",
    look="check the condition for 'avg', letter by letter, and what is assigned to Y below it",
)
def average_under_another_name(X: Tensor, pool_size: tuple[int, int], mode: str = "max") -> Tensor:
    p_h, p_w = pool_size
    Y = torch.zeros(X.shape[0] - p_h + 1, X.shape[1] - p_w + 1)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            if mode == "max":
                Y[i, j] = X[i : i + p_h, j : j + p_w].max()
            elif mode == "mean":
                Y[i, j] = X[i : i + p_h, j : j + p_w].mean()
    return Y


@misconception(
    "pool2d",
    breaks=MAX,
    says="pool2d takes the mean of each window if no mode is given",
    look="its default is mode 'max', and with that it takes the maximum of each window",
)
def average_by_default(X: Tensor, pool_size: tuple[int, int], mode: str = "avg") -> Tensor:
    windows = X.unfold(0, pool_size[0], 1).unfold(1, pool_size[1], 1)
    return windows.mean(dim=(2, 3)) if mode == "avg" else windows.amax(dim=(2, 3))


@misconception(
    "pool2d",
    breaks=(*MAX, "pool2d.shape"),
    says="pool2d cannot be called without a mode",
    look="its default is mode 'max'",
)
def no_default_mode(X: Tensor, pool_size: tuple[int, int], mode: str) -> Tensor:
    windows = X.unfold(0, pool_size[0], 1).unfold(1, pool_size[1], 1)
    return windows.mean(dim=(2, 3)) if mode == "avg" else windows.amax(dim=(2, 3))


@misconception(
    "pool2d",
    breaks=VALUES,
    says="pool2d's two modes are swapped",
    look="'max' is the maximum of a window and 'avg' its mean",
)
def modes_swapped(X: Tensor, pool_size: tuple[int, int], mode: str = "max") -> Tensor:
    windows = X.unfold(0, pool_size[0], 1).unfold(1, pool_size[1], 1)
    return windows.mean(dim=(2, 3)) if mode == "max" else windows.amax(dim=(2, 3))


@misconception(
    "pool2d",
    breaks=MAX,
    says="pool2d's maximum is never below 0",
    look="in a window of negative numbers the largest is negative: do not start from 0",
)
def maximum_from_zero(X: Tensor, pool_size: tuple[int, int], mode: str = "max") -> Tensor:
    windows = X.unfold(0, pool_size[0], 1).unfold(1, pool_size[1], 1)
    if mode == "avg":
        return windows.mean(dim=(2, 3))
    return windows.amax(dim=(2, 3)).clamp(min=0)


@misconception(
    "pool2d",
    breaks=MAX,
    says="pool2d takes the minimum of each window",
    look="maximum pooling keeps the largest number",
)
def minimum(X: Tensor, pool_size: tuple[int, int], mode: str = "max") -> Tensor:
    windows = X.unfold(0, pool_size[0], 1).unfold(1, pool_size[1], 1)
    return windows.mean(dim=(2, 3)) if mode == "avg" else windows.amin(dim=(2, 3))


@misconception(
    "pool2d",
    breaks=MAX,
    says="pool2d takes the largest absolute value of each window",
    look="the maximum of -3 and 2 is 2",
)
def maximum_of_absolute_values(X: Tensor, pool_size: tuple[int, int], mode: str = "max") -> Tensor:
    windows = X.unfold(0, pool_size[0], 1).unfold(1, pool_size[1], 1)
    return windows.mean(dim=(2, 3)) if mode == "avg" else windows.abs().amax(dim=(2, 3))


@misconception(
    "pool2d",
    breaks=AVG,
    says="pool2d adds up each window with mode 'avg'",
    look="a mean is the sum divided by the number of entries",
)
def sum_instead_of_mean(X: Tensor, pool_size: tuple[int, int], mode: str = "max") -> Tensor:
    windows = X.unfold(0, pool_size[0], 1).unfold(1, pool_size[1], 1)
    return windows.sum(dim=(2, 3)) if mode == "avg" else windows.amax(dim=(2, 3))


@misconception(
    "pool2d",
    breaks=AVG,
    says="pool2d divides the sum of a window by its height only",
    look="a window has height times width entries",
)
def divided_by_the_height(X: Tensor, pool_size: tuple[int, int], mode: str = "max") -> Tensor:
    windows = X.unfold(0, pool_size[0], 1).unfold(1, pool_size[1], 1)
    return windows.sum(dim=(2, 3)) / pool_size[0] if mode == "avg" else windows.amax(dim=(2, 3))


@misconception(
    "pool2d",
    breaks=AVG,
    says="pool2d divides the sum of a window by its height squared",
    look="a window need not be square: it has height times width entries",
)
def divided_by_the_height_squared(X: Tensor, pool_size: tuple[int, int], mode: str = "max") -> Tensor:
    windows = X.unfold(0, pool_size[0], 1).unfold(1, pool_size[1], 1)
    return windows.sum(dim=(2, 3)) / pool_size[0] ** 2 if mode == "avg" else windows.amax(dim=(2, 3))


@misconception(
    "pool2d",
    breaks=AVG,
    says="pool2d rounds its means down to whole numbers",
    look="// rounds the quotient down, / does not",
)
def mean_rounded_down(X: Tensor, pool_size: tuple[int, int], mode: str = "max") -> Tensor:
    windows = X.unfold(0, pool_size[0], 1).unfold(1, pool_size[1], 1)
    return windows.sum(dim=(2, 3)) // (pool_size[0] * pool_size[1]) if mode == "avg" else windows.amax(dim=(2, 3))


@misconception(
    "pool2d",
    breaks=VALUES,
    says="pool2d drops the digits after the decimal point",
    look="the output is a tensor of integers, while the image has real numbers",
)
def pooled_to_integers(X: Tensor, pool_size: tuple[int, int], mode: str = "max") -> Tensor:
    windows = X.unfold(0, pool_size[0], 1).unfold(1, pool_size[1], 1)
    return (windows.mean(dim=(2, 3)) if mode == "avg" else windows.amax(dim=(2, 3))).long()


@misconception(
    "pool2d",
    breaks=VALUES,
    says="pool2d's windows are one row and one column too large",
    look="a slice excludes its end: i:i + 2 has two entries",
)
def window_one_too_large(X: Tensor, pool_size: tuple[int, int], mode: str = "max") -> Tensor:
    p_h, p_w = pool_size
    Y = torch.zeros(X.shape[0] - p_h + 1, X.shape[1] - p_w + 1)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            window = X[i : i + p_h + 1, j : j + p_w + 1]
            Y[i, j] = window.max() if mode == "max" else window.mean()
    return Y


@misconception(
    "pool2d",
    breaks=VALUES,
    says="pool2d leaves the last row and the last column of its output at zero",
    look="range(n) already ends with n - 1, so the loops need no further subtraction",
)
def last_windows_left_out(X: Tensor, pool_size: tuple[int, int], mode: str = "max") -> Tensor:
    p_h, p_w = pool_size
    Y = torch.zeros(X.shape[0] - p_h + 1, X.shape[1] - p_w + 1)
    for i in range(Y.shape[0] - 1):
        for j in range(Y.shape[1] - 1):
            window = X[i : i + p_h, j : j + p_w]
            Y[i, j] = window.max() if mode == "max" else window.mean()
    return Y


@misconception(
    "pool2d",
    breaks=SIZES,
    says="pool2d's output is one row and one column too small",
    look="a window as large as the image fits once: count the positions for a small example",
)
def pooled_one_too_small(X: Tensor, pool_size: tuple[int, int], mode: str = "max") -> Tensor:
    p_h, p_w = pool_size
    Y = torch.zeros(X.shape[0] - p_h, X.shape[1] - p_w)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            window = X[i : i + p_h, j : j + p_w]
            Y[i, j] = window.max() if mode == "max" else window.mean()
    return Y


@misconception(
    "pool2d",
    breaks=SIZES,
    says="pool2d's output is as large as the image",
    look="the window has fewer positions than the image has pixels",
)
def pooled_as_large_as_the_image(X: Tensor, pool_size: tuple[int, int], mode: str = "max") -> Tensor:
    p_h, p_w = pool_size
    Y = torch.zeros(X.shape)
    for i in range(X.shape[0]):
        for j in range(X.shape[1]):
            window = X[i : i + p_h, j : j + p_w]
            Y[i, j] = window.max() if mode == "max" else window.mean()
    return Y


@misconception(
    "pool2d",
    breaks=SIZES,
    says="pool2d moves its window by the window's own size",
    look="the stride is 1, and windows overlap; nn.MaxPool2d's default is another",
)
def windows_side_by_side(X: Tensor, pool_size: tuple[int, int], mode: str = "max") -> Tensor:
    pool = F.max_pool2d if mode == "max" else F.avg_pool2d
    Y: Tensor = pool(X[None, None], pool_size)
    return Y[0, 0]


@misconception(
    "pool2d",
    breaks=SIZES,
    says="pool2d swaps the window's height and width",
    look="pool_size is (height, width), in this order",
)
def window_height_and_width_swapped(X: Tensor, pool_size: tuple[int, int], mode: str = "max") -> Tensor:
    windows = X.unfold(0, pool_size[1], 1).unfold(1, pool_size[0], 1)
    return windows.amax(dim=(2, 3)) if mode == "max" else windows.mean(dim=(2, 3))


@misconception(
    "pool2d",
    breaks=SIZES,
    says="pool2d treats every window as square",
    look="its width is pool_size[1], which need not be pool_size[0]",
)
def square_windows_only(X: Tensor, pool_size: tuple[int, int], mode: str = "max") -> Tensor:
    windows = X.unfold(0, pool_size[0], 1).unfold(1, pool_size[0], 1)
    return windows.amax(dim=(2, 3)) if mode == "max" else windows.mean(dim=(2, 3))

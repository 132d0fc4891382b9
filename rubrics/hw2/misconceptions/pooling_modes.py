"""Typical mistakes with the two modes of pooling, each a small change: d2l.ai section 7.5.1."""

import torch
from torch import Tensor

from grader.testing import alter

MAX = ("pool2d.max",)
AVG = ("pool2d.avg",)
VALUES = ("pool2d.max", "pool2d.avg")
MAX_AND_SHAPE = ("pool2d.max", "pool2d.shape")


def pool2d(X: Tensor, pool_size: tuple[int, int], mode: str = "max") -> Tensor:
    p_h, p_w = pool_size
    Y = torch.zeros(X.shape[0] - p_h + 1, X.shape[1] - p_w + 1)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            window = X[i : i + p_h, j : j + p_w]
            if mode == "max":
                Y[i, j] = window.max()
            elif mode == "avg":
                Y[i, j] = window.mean()
    return Y


always_the_mean = alter(
    pool2d,
    {"window.max()": "window.mean()"},
    breaks=MAX,
    says="pool2d takes the mean of each window with mode 'max' too",
    look="there it is the largest number of each window",
)

max_leaves_zeros = alter(
    pool2d,
    {"Y[i, j] = window.max()": "pass"},
    breaks=MAX,
    says="with mode 'max' pool2d leaves its output at zero",
    look="check the condition for 'max', and what is assigned to Y below it",
)

position_of_the_maximum = alter(
    pool2d,
    {"window.max()": "window.argmax()"},
    breaks=MAX,
    says="pool2d gives the position of the largest number of each window",
    look="argmax is the position, max the number itself",
)

maximum_of_a_dimension = alter(
    pool2d,
    {"window.max()": "window.max(0)"},
    breaks=MAX_AND_SHAPE,
    says="pool2d takes the maximum along one dimension of the window, which gives a pair of tensors",
    look="max without arguments is the largest number of all",
)

output_replaced_by_a_maximum = alter(
    pool2d,
    {"Y[i, j] = window.max()": "Y = window.max()"},
    breaks=MAX_AND_SHAPE,
    says="pool2d replaces its whole output by one maximum",
    look="one entry is assigned: Y has to be indexed with i and j",
)

divided_by_the_width = alter(
    pool2d,
    {"window.mean()": "window.sum() / p_w"},
    breaks=AVG,
    says="pool2d divides the sum of a window by its width only",
    look="a window has height times width entries",
)

divided_by_height_plus_width = alter(
    pool2d,
    {"window.mean()": "window.sum() / (p_h + p_w)"},
    breaks=AVG,
    says="pool2d divides the sum of a window by its height + its width",
    look="a window has height times width entries",
)

divided_by_four = alter(
    pool2d,
    {"window.mean()": "window.sum() / 4"},
    breaks=AVG,
    says="pool2d divides the sum of every window by 4, as in the book's example",
    look="a window has height times width entries",
)

median_for_mean = alter(
    pool2d,
    {"window.mean()": "window.median()"},
    breaks=AVG,
    says="pool2d takes the median with mode 'avg'",
    look="there it is the mean",
)

output_replaced_by_a_mean = alter(
    pool2d,
    {"Y[i, j] = window.mean()": "Y = window.mean()"},
    breaks=AVG,
    says="pool2d replaces its whole output by one mean",
    look="one entry is assigned: Y has to be indexed with i and j",
)

no_mode_at_all = alter(
    pool2d,
    {', mode: str = "max"': "", "    p_h": '    mode = "max"\n    p_h'},
    breaks=AVG,
    says="pool2d takes no mode",
    look="it has a third parameter, mode, whose default is 'max'",
)

sum_of_the_maxima_of_rows = alter(
    pool2d,
    {"window.max()": "window.max(dim=1)[0].sum()"},
    breaks=MAX,
    says="pool2d adds up the largest numbers of the window's rows",
    look="the maximum of a window is the largest of all its numbers",
)

average_called_in_error = alter(
    pool2d,
    {"window.mean()": "window.avg()"},
    breaks=AVG,
    says="pool2d calls a method avg, which tensors do not have",
    look="the mean of a tensor is .mean()",
)

average_leaves_the_minimum = alter(
    pool2d,
    {"window.mean()": "window.min()"},
    breaks=AVG,
    says="pool2d takes the minimum of each window with mode 'avg'",
    look="there it is the mean",
)

minimum_in_both_modes = alter(
    pool2d,
    {"window.mean()": "window.min()", "window.max()": "window.min()"},
    breaks=VALUES,
    says="pool2d takes the minimum of each window, whatever the mode",
    look="'max' is the maximum of a window and 'avg' its mean",
)

sum_in_both_modes = alter(
    pool2d,
    {"window.mean()": "window.sum()", "window.max()": "window.sum()"},
    breaks=VALUES,
    says="pool2d adds up each window, whatever the mode",
    look="'max' is the maximum of a window and 'avg' its mean",
)

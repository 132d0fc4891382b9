"""Typical mistakes with the loops and windows of the cross-correlation: d2l.ai section 7.2.1."""

import torch
from torch import Tensor

from grader.testing import alter

VALUES = ("corr2d.values", "conv2d_layer", "corr2d_multi_in", "corr2d_multi_in_out", "edge_detection", "learned_kernel")
POINTWISE = (*VALUES, "equivalence_1x1")
SIZES = (*VALUES, "corr2d.shape")
EVERYTHING = (*SIZES, "equivalence_1x1")
WINDOW = "X[i : i + h, j : j + w]"


def corr2d(X: Tensor, K: Tensor) -> Tensor:
    h, w = K.shape
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum()
    return Y


row_after_the_first_missing = alter(
    corr2d,
    {"    return Y": "        return Y"},
    breaks=POINTWISE,
    says="corr2d's output has its first row only, with zeros below it",
    look="a return that is indented into the outer loop ends it after one row",
)

rows_looped_over_the_image = alter(
    corr2d,
    {"range(Y.shape[0])": "range(X.shape[0])"},
    breaks=(
        "corr2d.values",
        "corr2d.shape",
        "conv2d_layer",
        "corr2d_multi_in",
        "corr2d_multi_in_out",
    ),
    says="corr2d's outer loop runs past the last row of its output",
    look="the loops go over Y.shape, which is smaller than X.shape",
)

columns_looped_over_the_image = alter(
    corr2d,
    {"range(Y.shape[1])": "range(X.shape[1])"},
    breaks=SIZES,
    says="corr2d's inner loop runs past the last column of its output",
    look="the loops go over Y.shape, which is smaller than X.shape",
)

both_looped_over_the_image = alter(
    corr2d,
    {"range(Y.shape[0])": "range(X.shape[0])", "range(Y.shape[1])": "range(X.shape[1])"},
    breaks=SIZES,
    says="corr2d's loops run past the last row and the last column of its output",
    look="the loops go over Y.shape, which is smaller than X.shape",
)

columns_looped_over_the_rows = alter(
    corr2d,
    {"range(Y.shape[1])": "range(Y.shape[0])"},
    breaks=(
        "corr2d.values",
        "corr2d.shape",
        "conv2d_layer",
        "edge_detection",
        "corr2d_multi_in",
        "corr2d_multi_in_out",
        "equivalence_1x1",
    ),
    says="corr2d's inner loop, over the columns, runs as often as there are rows",
    look="columns are dimension 1: Y.shape[1]",
)

rows_looped_over_the_columns = alter(
    corr2d,
    {"range(Y.shape[0])": "range(Y.shape[1])"},
    breaks=EVERYTHING,
    says="corr2d's outer loop, over the rows, runs as often as there are columns",
    look="rows are dimension 0: Y.shape[0]",
)

loops_swapped = alter(
    corr2d,
    {"range(Y.shape[0])": "range(Y.shape[1])", "range(Y.shape[1])": "range(Y.shape[0])"},
    breaks=EVERYTHING,
    says="corr2d's loops go over the wrong axes: i over the columns and j over the rows",
    look="Y[i, j] is row i, column j: Y.shape[0] belongs to i and Y.shape[1] to j",
)

loops_of_the_kernels_size = alter(
    corr2d,
    {"range(Y.shape[0])": "range(h)", "range(Y.shape[1])": "range(w)"},
    breaks=EVERYTHING,
    says="corr2d fills as many rows and columns as the kernel has",
    look="the loops go over the entries of the output",
)

inner_loop_of_the_kernels_width = alter(
    corr2d,
    {"range(Y.shape[1])": "range(w)"},
    breaks=EVERYTHING,
    says="corr2d fills as many columns as the kernel has",
    look="the inner loop goes over the columns of the output",
)

loops_begin_with_one = alter(
    corr2d,
    {"range(Y.shape[0])": "range(1, Y.shape[0])", "range(Y.shape[1])": "range(1, Y.shape[1])"},
    breaks=POINTWISE,
    says="corr2d leaves the first row and the first column of its output at zero",
    look="range(n) begins with 0, which is the first index",
)

last_row_left_out = alter(
    corr2d,
    {"range(Y.shape[0])": "range(Y.shape[0] - 1)"},
    breaks=POINTWISE,
    says="corr2d leaves the last row of its output at zero",
    look="range(n) already ends with n - 1, so the loop needs no further subtraction",
)

last_column_left_out = alter(
    corr2d,
    {"range(Y.shape[1])": "range(Y.shape[1] - 1)"},
    breaks=(
        "corr2d.values",
        "conv2d_layer",
        "edge_detection",
        "corr2d_multi_in",
        "corr2d_multi_in_out",
        "equivalence_1x1",
    ),
    says="corr2d leaves the last column of its output at zero",
    look="range(n) already ends with n - 1, so the loop needs no further subtraction",
)

window_moved_by_its_own_size = alter(
    corr2d,
    {WINDOW: "X[i * h : i * h + h, j * w : j * w + w]"},
    breaks=SIZES,
    says="corr2d moves its window by the window's own size",
    look="it moves by one pixel, down and to the right, and windows overlap",
)

window_moved_by_two = alter(
    corr2d,
    {WINDOW: "X[2 * i : 2 * i + h, 2 * j : 2 * j + w]"},
    breaks=EVERYTHING,
    says="corr2d moves its window by two pixels for each entry of its output",
    look="it moves by one, down and to the right",
)

loops_step_by_the_kernel = alter(
    corr2d,
    {"range(Y.shape[0])": "range(0, Y.shape[0], h)", "range(Y.shape[1])": "range(0, Y.shape[1], w)"},
    breaks=VALUES,
    says="corr2d fills every h-th row and every w-th column of its output only",
    look="the third argument of range is a step: each entry of the output needs a turn of the loops",
)

slices_end_at_the_kernels_size = alter(
    corr2d,
    {WINDOW: "X[i:h, j:w]"},
    breaks=EVERYTHING,
    says="corr2d's windows get smaller as they move, and empty in the end",
    look="a slice i:h ends at row h wherever it begins: its end has to move with i",
)

window_one_row_and_column_too_large = alter(
    corr2d,
    {WINDOW: "X[i : i + h + 1, j : j + w + 1]"},
    breaks=EVERYTHING,
    says="corr2d's windows are one row and one column too large",
    look="a slice excludes its end: i:i + 2 has two entries",
)

window_one_row_and_column_too_small = alter(
    corr2d,
    {WINDOW: "X[i : i + h - 1, j : j + w - 1]"},
    breaks=EVERYTHING,
    says="corr2d's windows are one row and one column too small",
    look="a slice excludes its end: i:i + 2 has two entries",
)

slices_height_and_width_swapped = alter(
    corr2d,
    {WINDOW: "X[i : i + w, j : j + h]"},
    breaks=SIZES,
    says="corr2d's windows have the kernel's height and width swapped",
    look="rows go with the kernel's height, columns with its width",
)

window_is_the_whole_image = alter(
    corr2d,
    {WINDOW: "X"},
    breaks=EVERYTHING,
    says="corr2d multiplies the whole image by the kernel, not a window of it",
    look="the window is the part of X that the kernel covers: a slice",
)

window_begins_one_too_late = alter(
    corr2d,
    {WINDOW: "X[i + 1 : i + 1 + h, j + 1 : j + 1 + w]"},
    breaks=EVERYTHING,
    says="corr2d's windows begin one row and one column too late",
    look="entry (0, 0) belongs to the window that begins at row 0 and column 0",
)

window_moves_down_only = alter(
    corr2d,
    {WINDOW: "X[i : i + h, :w]"},
    breaks=POINTWISE,
    says="corr2d's window moves down, and never to the right",
    look="its columns begin at j",
)

window_moves_right_only = alter(
    corr2d,
    {WINDOW: "X[:h, j : j + w]"},
    breaks=(
        "corr2d.values",
        "conv2d_layer",
        "edge_detection",
        "corr2d_multi_in",
        "corr2d_multi_in_out",
        "equivalence_1x1",
    ),
    says="corr2d's window moves to the right, and never down",
    look="its rows begin at i",
)

window_of_the_images_size = alter(
    corr2d,
    {"h, w = K.shape": "h, w = X.shape"},
    breaks=EVERYTHING,
    says="corr2d takes the window's height and width from the image",
    look="the window is as large as the kernel",
)

square_kernels_by_width = alter(
    corr2d,
    {"h, w = K.shape": "h = w = K.shape[1]"},
    breaks=SIZES,
    says="corr2d treats every kernel as square, as high as it is wide",
    look="its height is K.shape[0], which need not be K.shape[1]",
)

three_by_three_windows = alter(
    corr2d,
    {"h, w = K.shape": "h = w = 3"},
    breaks=EVERYTHING,
    says="corr2d works for 3x3 kernels only",
    look="the window is as large as K, whatever its shape is",
)

"""Typical mistakes with the loops of pooling, each a small change: d2l.ai section 7.5."""

import torch
from torch import Tensor

from grader.testing import alter

VALUES = ("pool2d.max", "pool2d.avg")
SIZES = ("pool2d.max", "pool2d.avg", "pool2d.shape")
WINDOW = "X[i : i + p_h, j : j + p_w]"
ZEROS = "torch.zeros(X.shape[0] - p_h + 1, X.shape[1] - p_w + 1)"


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


pooled_to_the_first_entry = alter(
    pool2d,
    {"    return Y": "            return Y"},
    breaks=VALUES,
    says="pool2d's output has its first entry only, and zeros elsewhere",
    look="a return that is indented into the loops ends them after the first window",
)

pooled_to_the_first_row = alter(
    pool2d,
    {"    return Y": "        return Y"},
    breaks=VALUES,
    says="pool2d's output has its first row only, with zeros below it",
    look="a return that is indented into the outer loop ends it after one row",
)

whole_image_pooled = alter(
    pool2d,
    {WINDOW: "X"},
    breaks=VALUES,
    says="pool2d takes the maximum or the mean of the whole image for every entry",
    look="each entry belongs to a window of the image: a slice",
)

pooled_by_the_first_window = alter(
    pool2d,
    {WINDOW: "X[:p_h, :p_w]"},
    breaks=VALUES,
    says="pool2d has the first window's result in every entry",
    look="the window moves with i and j",
)

pooling_window_moved_by_its_size = alter(
    pool2d,
    {WINDOW: "X[i * p_h : i * p_h + p_h, j * p_w : j * p_w + p_w]"},
    breaks=SIZES,
    says="pool2d moves its window by the window's own size, past the edge of the image",
    look="the stride is 1, and windows overlap",
)

pooled_output_divided_by_the_window = alter(
    pool2d,
    {ZEROS: "torch.zeros(X.shape[0] // p_h, X.shape[1] // p_w)"},
    breaks=SIZES,
    says="pool2d's output is the image's size divided by the window's",
    look="the stride is 1: the output has an entry for each position of the window",
)

pool_size_read_the_other_way = alter(
    pool2d,
    {"p_h, p_w = pool": "p_w, p_h = pool"},
    breaks=SIZES,
    says="pool2d swaps the window's height and width",
    look="pool_size is (height, width), in this order",
)

square_window_by_height = alter(
    pool2d,
    {"p_h, p_w = pool_size": "p_h = p_w = pool_size[0]"},
    breaks=SIZES,
    says="pool2d treats every window as square",
    look="its width is pool_size[1], which need not be pool_size[0]",
)

square_window_by_width = alter(
    pool2d,
    {"p_h, p_w = pool_size": "p_h = p_w = pool_size[1]"},
    breaks=SIZES,
    says="pool2d treats every window as square, as high as it is wide",
    look="its height is pool_size[0], which need not be pool_size[1]",
)

pooled_height_and_width_swapped = alter(
    pool2d,
    {ZEROS: "torch.zeros(X.shape[1] - p_w + 1, X.shape[0] - p_h + 1)"},
    breaks=SIZES,
    says="pool2d's output has its height and its width swapped",
    look="the height comes first: rows are dimension 0",
)

shape_of_pool_size = alter(
    pool2d,
    {"pool_size\n": "pool_size.shape\n"},
    breaks=SIZES,
    says="pool2d asks for the shape of pool_size",
    look="pool_size is a pair of numbers itself, the height and the width of the window",
)

pooling_loops_over_the_image = alter(
    pool2d,
    {"range(Y.shape[0])": "range(X.shape[0])", "range(Y.shape[1])": "range(X.shape[1])"},
    breaks=SIZES,
    says="pool2d's loops run past the last row or column of its output",
    look="the loops go over Y.shape, which is smaller than X.shape",
)

pooling_columns_by_the_rows = alter(
    pool2d,
    {"range(Y.shape[1])": "range(Y.shape[0])"},
    breaks=SIZES,
    says="pool2d's inner loop, over the columns, runs as often as there are rows",
    look="columns are dimension 1: Y.shape[1]",
)

pooling_rows_by_the_columns = alter(
    pool2d,
    {"range(Y.shape[0])": "range(Y.shape[1])"},
    breaks=SIZES,
    says="pool2d's outer loop, over the rows, runs as often as there are columns",
    look="rows are dimension 0: Y.shape[0]",
)

pooled_one_row_too_few = alter(
    pool2d,
    {"X.shape[0] - p_h + 1": "X.shape[0] - p_h"},
    breaks=SIZES,
    says="pool2d's output is one row too small",
    look="a window as high as the image fits once: count the positions for a small example",
)

pooled_one_column_too_few = alter(
    pool2d,
    {"X.shape[1] - p_w + 1": "X.shape[1] - p_w"},
    breaks=SIZES,
    says="pool2d's output is one column too small",
    look="a window as wide as the image fits once: count the positions for a small example",
)

pooling_window_of_the_example = alter(
    pool2d,
    {WINDOW: "X[i : i + 2, j : j + 2]"},
    breaks=VALUES,
    says="pool2d works for 2x2 windows only, the size of the book's example",
    look="the window is as large as pool_size says",
)

pooling_indices_swapped = alter(
    pool2d,
    {WINDOW: "X[j : j + p_h, i : i + p_w]"},
    breaks=SIZES,
    says="pool2d swaps the two indices of the window",
    look="entry (i, j) of the output belongs to the window that begins at row i and column j",
)

pooling_slices_end_at_the_size = alter(
    pool2d,
    {WINDOW: "X[i:p_h, j:p_w]"},
    breaks=SIZES,
    says="pool2d's windows get smaller as they move, and empty in the end",
    look="a slice i:p_h ends at row p_h wherever it begins: its end has to move with i",
)

pooling_window_too_small = alter(
    pool2d,
    {WINDOW: "X[i : i + p_h - 1, j : j + p_w - 1]"},
    breaks=SIZES,
    says="pool2d's windows are one row and one column too small",
    look="a slice excludes its end: i:i + 2 has two entries",
)

pooling_forgotten_to_return = alter(
    pool2d,
    {"    return Y\n": ""},
    breaks=SIZES,
    says="pool2d returns nothing",
    look="a function without a return statement gives None: return the output",
)

pooled_entries_transposed = alter(
    pool2d,
    {"Y[i, j] = window.max()": "Y[j, i] = window.max()", "Y[i, j] = window.mean()": "Y[j, i] = window.mean()"},
    breaks=SIZES,
    says="pool2d writes the entry of row i and column j to row j and column i",
    look="the window that begins at row i and column j belongs to Y[i, j]",
)

pooled_rows_assigned = alter(
    pool2d,
    {"Y[i, j] = window.max()": "Y[i] = window.max()", "Y[i, j] = window.mean()": "Y[i] = window.mean()"},
    breaks=VALUES,
    says="pool2d writes the result of a window to a whole row of its output",
    look="an entry has two indices, its row and its column",
)

pooled_with_batch = alter(
    pool2d,
    {"p_h, p_w = pool_size": 'return getattr(F, f"{mode}_pool2d")(X[None, None], pool_size, 1)'},
    breaks=SIZES,
    says="pool2d returns four dimensions, with those of batch and channel",
    look="an image of two dimensions gives a map of two",
)

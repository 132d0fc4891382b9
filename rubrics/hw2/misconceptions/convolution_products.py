"""Typical mistakes with the products and the result of the cross-correlation: d2l.ai section 7.2.1."""

import torch
from torch import Tensor

from grader.testing import alter

VALUES = ("corr2d.values", "conv2d_layer", "corr2d_multi_in", "corr2d_multi_in_out", "edge_detection", "learned_kernel")
POINTWISE = (*VALUES, "equivalence_1x1")
SIZES = (*VALUES, "corr2d.shape")
EVERYTHING = (*SIZES, "equivalence_1x1")
REAL = ("corr2d.values", "conv2d_layer", "corr2d_multi_in", "corr2d_multi_in_out")
MAPS = (*REAL, "equivalence_1x1")
PRODUCT = "(X[i : i + h, j : j + w] * K).sum()"


def corr2d(X: Tensor, K: Tensor) -> Tensor:
    h, w = K.shape
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum()
    return Y


largest_product = alter(
    corr2d,
    {".sum()": ".max()"},
    breaks=VALUES,
    says="corr2d takes the largest product of each window",
    look="the products of a window and the kernel are added up; a maximum is pooling",
)

products_not_added = alter(
    corr2d,
    {PRODUCT: "X[i : i + h, j : j + w] * K"},
    breaks=SIZES,
    says="corr2d assigns the products of a whole window to one entry",
    look="they have to be added up to one number",
)

columns_of_products_added = alter(
    corr2d,
    {".sum()": ".sum(0)"},
    breaks=SIZES,
    says="corr2d adds the products of each column of the window, and not all of them",
    look="a sum without arguments goes over all entries",
)

rows_of_products_added = alter(
    corr2d,
    {".sum()": ".sum(1)"},
    breaks=(
        "corr2d.values",
        "corr2d.shape",
        "conv2d_layer",
        "corr2d_multi_in",
        "corr2d_multi_in_out",
    ),
    says="corr2d adds the products of each row of the window, and not all of them",
    look="a sum without arguments goes over all entries",
)

kernel_added = alter(
    corr2d,
    {" * K": " + K"},
    breaks=POINTWISE,
    says="corr2d adds the kernel to the window instead of multiplying",
    look="the kernel's entries are the weights of the sum",
)

kernel_subtracted = alter(
    corr2d,
    {" * K": " - K"},
    breaks=POINTWISE,
    says="corr2d subtracts the kernel from the window instead of multiplying",
    look="the kernel's entries are the weights of the sum",
)

divided_by_the_kernel = alter(
    corr2d,
    {" * K": " / K"},
    breaks=MAPS,
    says="corr2d divides the window by the kernel instead of multiplying",
    look="the kernel's entries are the weights of the sum",
)

kernel_upside_down = alter(
    corr2d,
    {" * K": " * K.flip(0)"},
    breaks=REAL,
    says="corr2d's kernel is flipped upside down",
    look="the book's corr2d slides the kernel as it is",
)

kernel_mirrored = alter(
    corr2d,
    {" * K": " * K.flip(1)"},
    breaks=VALUES,
    says="corr2d's kernel is flipped left to right",
    look="the book's corr2d slides the kernel as it is",
)

kernel_transposed_in_the_product = alter(
    corr2d,
    {" * K": " * K.T"},
    breaks=SIZES,
    says="corr2d multiplies each window by the transposed kernel",
    look="the kernel's rows meet the window's rows: use K as it is",
)

kernels_first_row_only = alter(
    corr2d,
    {" * K": " * K[0]"},
    breaks=REAL,
    says="corr2d uses the first row of the kernel only, for every row of the window",
    look="the whole window is multiplied by the whole kernel, entry by entry",
)

kernel_indexed_like_the_output = alter(
    corr2d,
    {" * K": " * K[i, j]"},
    breaks=EVERYTHING,
    says="corr2d multiplies each window by one entry of the kernel, K[i, j]",
    look="i and j are a position in the output: the whole window is multiplied by the whole kernel",
)

sign_changed = alter(
    corr2d,
    {"= (X": "= -(X"},
    breaks=POINTWISE,
    says="corr2d's results have the other sign",
    look="the sum is taken as it is",
)

absolute_values = alter(
    corr2d,
    {"return Y": "return Y.abs()"},
    breaks=POINTWISE,
    says="corr2d drops the signs of its results",
    look="negative results are right ones: keep them",
)

negative_results_cut_off = alter(
    corr2d,
    {"return Y": "return torch.relu(Y)"},
    breaks=POINTWISE,
    says="corr2d has 0 in place of negative results",
    look="no activation function belongs to the cross-correlation",
)

added_up_to_a_number = alter(
    corr2d,
    {"return Y": "return Y.sum()"},
    breaks=EVERYTHING,
    says="corr2d adds its output up to a single number",
    look="the output is a map with an entry for each position of the kernel",
)

image_returned = alter(
    corr2d,
    {"return Y": "return X"},
    breaks=EVERYTHING,
    says="corr2d returns the image unchanged",
    look="the output is another tensor than the input: return that",
)

kernel_returned = alter(
    corr2d,
    {"return Y": "return K"},
    breaks=EVERYTHING,
    says="corr2d returns the kernel",
    look="the output is another tensor than the inputs: return that",
)

last_product_only = alter(
    corr2d,
    {PRODUCT: "(X[i : i + h, j : j + w] * K)[-1, -1]"},
    breaks=VALUES,
    says="corr2d keeps the last product of each window and drops the others",
    look="the products are added up, as += does, and do not replace each other",
)

arguments_confused = alter(
    corr2d,
    {"h, w = K.shape": "X, K = K, X\n    h, w = K.shape"},
    breaks=EVERYTHING,
    says="corr2d takes its arguments in the wrong order: the kernel as the image",
    look="the image comes first, then the kernel",
)

batch_missing_for_torch = alter(
    corr2d,
    {"h, w = K.shape": "return F.conv2d(X, K)"},
    breaks=EVERYTHING,
    says="corr2d calls F.conv2d with tensors of two dimensions",
    look="torch's convolution takes images and kernels with further dimensions for batch and channels",
)

four_dimensions_returned = alter(
    corr2d,
    {"h, w = K.shape": "return F.conv2d(X[None, None], K[None, None])"},
    breaks=(
        "corr2d.values",
        "corr2d.shape",
        "conv2d_layer",
        "corr2d_multi_in",
        "corr2d_multi_in_out",
        "equivalence_1x1",
    ),
    says="corr2d returns four dimensions, with those of batch and channel",
    look="an image of two dimensions gives a map of two",
)

channel_returned = alter(
    corr2d,
    {"h, w = K.shape": "return F.conv2d(X[None], K[None, None])"},
    breaks=(
        "corr2d.values",
        "corr2d.shape",
        "conv2d_layer",
        "corr2d_multi_in",
        "corr2d_multi_in_out",
        "equivalence_1x1",
    ),
    says="corr2d returns three dimensions, with that of a channel",
    look="an image of two dimensions gives a map of two",
)

padded_to_the_images_size = alter(
    corr2d,
    {"h, w = K.shape": 'return F.conv2d(X[None, None], K[None, None], padding="same")[0, 0]'},
    breaks=SIZES,
    says="corr2d pads the image, so that the output is as large as the image",
    look="padding comes later, in section 7.3, and corr2d has none",
)

padded_by_one = alter(
    corr2d,
    {"h, w = K.shape": "return F.conv2d(X[None, None], K[None, None], padding=1)[0, 0]"},
    breaks=EVERYTHING,
    says="corr2d pads the image by one pixel on each side",
    look="padding comes later, in section 7.3, and corr2d has none",
)

kernels_indices_swapped = alter(
    corr2d,
    {PRODUCT: "sum(X[i + a, j + b] * K[b, a] for a in range(h) for b in range(w))"},
    breaks=SIZES,
    says="corr2d exchanges row and column of the kernel",
    look="the entry at row a and column b of the window meets K[a, b]",
)

four_loops_one_short = alter(
    corr2d,
    {PRODUCT: "(X[i : i + h, j : j + w] * K)[:-1, :-1].sum()"},
    breaks=POINTWISE,
    says="corr2d leaves the kernel's last row and last column out of each sum",
    look="range(n) already ends with n - 1, so loops over the kernel need no further subtraction",
)

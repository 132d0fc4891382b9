"""Typical mistakes with the output of the cross-correlation: d2l.ai section 7.2.1."""

import torch
from torch import Tensor

from grader.testing import alter

VALUES = ("corr2d.values", "conv2d_layer", "corr2d_multi_in", "corr2d_multi_in_out", "edge_detection", "learned_kernel")
POINTWISE = (*VALUES, "equivalence_1x1")
SIZES = (*VALUES, "corr2d.shape")
EVERYTHING = (*SIZES, "equivalence_1x1")
ZEROS = "torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1)"


def corr2d(X: Tensor, K: Tensor) -> Tensor:
    h, w = K.shape
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum()
    return Y


output_one_column_too_few = alter(
    corr2d,
    {"X.shape[1] - w + 1": "X.shape[1] - w"},
    breaks=EVERYTHING,
    says="corr2d's output is one column too small",
    look="a kernel as wide as the image fits once: count the positions for a small example",
)

output_one_row_too_few = alter(
    corr2d,
    {"X.shape[0] - h + 1": "X.shape[0] - h"},
    breaks=EVERYTHING,
    says="corr2d's output is one row too small",
    look="a kernel as high as the image fits once: count the positions for a small example",
)

output_one_too_large = alter(
    corr2d,
    {"h + 1": "h + 2", "w + 1": "w + 2"},
    breaks=EVERYTHING,
    says="corr2d's output is one row and one column too large",
    look="a kernel as large as the image fits once: count the positions for a small example",
)

output_grows_with_the_kernel = alter(
    corr2d,
    {"- h + 1": "+ h - 1", "- w + 1": "+ w - 1"},
    breaks=SIZES,
    says="corr2d's output gets larger with the kernel",
    look="the larger the kernel, the fewer positions it has",
)

output_like_the_image = alter(
    corr2d,
    {ZEROS: "torch.zeros_like(X)"},
    breaks=SIZES,
    says="corr2d's output is as large as the image, and its last windows reach over the image's edge",
    look="the kernel has fewer positions than the image has pixels",
)

output_like_the_kernel = alter(
    corr2d,
    {ZEROS: "torch.zeros_like(K)"},
    breaks=EVERYTHING,
    says="corr2d's output is as large as the kernel",
    look="the output has an entry for each position of the kernel",
)

output_height_and_width_swapped = alter(
    corr2d,
    {ZEROS: "torch.zeros(X.shape[1] - w + 1, X.shape[0] - h + 1)"},
    breaks=EVERYTHING,
    says="corr2d's output has its height and its width swapped",
    look="the height comes first: rows are dimension 0",
)

image_height_and_width_swapped = alter(
    corr2d,
    {"X.shape[0] - h": "X.shape[1] - h", "X.shape[1] - w": "X.shape[0] - w"},
    breaks=EVERYTHING,
    says="corr2d takes the image's height for its width and the other way round",
    look="X.shape[0] is the height, X.shape[1] the width",
)

entries_transposed = alter(
    corr2d,
    {"Y[i, j]": "Y[j, i]"},
    breaks=EVERYTHING,
    says="corr2d writes the entry of row i and column j to row j and column i",
    look="the window that begins at row i and column j belongs to Y[i, j]",
)

whole_output_assigned = alter(
    corr2d,
    {"Y[i, j] =": "Y ="},
    breaks=EVERYTHING,
    says="corr2d replaces its whole output by the sum of one window",
    look="one entry is assigned: Y has to be indexed with i and j",
)

added_to_every_entry = alter(
    corr2d,
    {"Y[i, j] =": "Y +="},
    breaks=POINTWISE,
    says="corr2d adds the sum of each window to every entry of its output",
    look="one entry is assigned: Y has to be indexed with i and j",
)

whole_row_assigned = alter(
    corr2d,
    {"Y[i, j] =": "Y[i] ="},
    breaks=POINTWISE,
    says="corr2d writes the sum of a window to a whole row of its output",
    look="an entry has two indices, its row and its column",
)

whole_column_assigned = alter(
    corr2d,
    {"Y[i, j] =": "Y[:, j] ="},
    breaks=(
        "corr2d.values",
        "conv2d_layer",
        "edge_detection",
        "corr2d_multi_in",
        "corr2d_multi_in_out",
        "equivalence_1x1",
    ),
    says="corr2d writes the sum of a window to a whole column of its output",
    look="an entry has two indices, its row and its column",
)

output_begins_with_ones = alter(
    corr2d,
    {ZEROS: "torch.ones(X.shape[0] - h + 1, X.shape[1] - w + 1)", "Y[i, j] =": "Y[i, j] +="},
    breaks=POINTWISE,
    says="every entry of corr2d's output is 1 too large",
    look="a sum starts at 0: the output has to begin with zeros",
)

results_written_to_the_image = alter(
    corr2d,
    {ZEROS: "X[: X.shape[0] - h + 1, : X.shape[1] - w + 1]"},
    breaks=(
        "corr2d.values",
        "conv2d_layer",
        "learned_kernel",
        "corr2d_multi_in",
        "corr2d_multi_in_out",
        "equivalence_1x1",
    ),
    says="corr2d writes into the image itself",
    look="a slice of X shares its numbers with X: products and results need a tensor of their own",
    same_as=("image_overwritten",),
)

image_entries_overwritten = alter(
    corr2d,
    {"Y[i, j] =": "X[i, j] = Y[i, j] ="},
    breaks=(
        "corr2d.values",
        "conv2d_layer",
        "learned_kernel",
        "corr2d_multi_in",
        "corr2d_multi_in_out",
        "equivalence_1x1",
    ),
    says="corr2d writes into the image itself",
    look="a slice of X shares its numbers with X: products and results need a tensor of their own",
    same_as=(
        "image_overwritten",
        "results_written_to_the_image",
    ),
)

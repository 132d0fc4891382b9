"""Typical mistakes with the cross-correlation operation: d2l.ai section 7.2.1."""

import torch
from torch import Tensor
from torch.nn import functional as F

from grader.testing import misconception

EDGES = ("edge_detection", "learned_kernel")
MAPS = ("conv2d_layer", "corr2d_multi_in", "corr2d_multi_in_out")
VALUES = ("corr2d.values", *MAPS, *EDGES)
SIZES = (*VALUES, "corr2d.shape")


@misconception(
    "corr2d",
    breaks=VALUES,
    says="this is true convolution: the kernel is flipped in both directions",
    look="the book's corr2d slides the kernel as it is",
)
def flipped_kernel(X: Tensor, K: Tensor) -> Tensor:
    return F.conv2d(X[None, None], K.flip(0, 1)[None, None])[0, 0]


@misconception(
    "corr2d",
    breaks=SIZES,
    says="corr2d slides the transposed kernel",
    look="the kernel's rows meet the image's rows, and its columns the image's columns",
)
def transposed_kernel(X: Tensor, K: Tensor) -> Tensor:
    return F.conv2d(X[None, None], K.T[None, None])[0, 0]


@misconception(
    "corr2d",
    breaks=SIZES,
    says="corr2d swaps the kernel's height and width",
    look="K.shape is (height, width), in this order",
)
def kernel_height_and_width_swapped(X: Tensor, K: Tensor) -> Tensor:
    w, h = K.shape
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum()
    return Y


@misconception(
    "corr2d",
    breaks=(*SIZES, "equivalence_1x1"),
    says="corr2d's window begins at row j and column i",
    look="entry (i, j) of the output belongs to the window that starts at row i and column j",
)
def window_indices_swapped(X: Tensor, K: Tensor) -> Tensor:
    h, w = K.shape
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[j : j + h, i : i + w] * K).sum()
    return Y


@misconception(
    "corr2d",
    breaks=SIZES,
    says="corr2d treats every kernel as square",
    look="its width is K.shape[1], which need not be K.shape[0]",
)
def square_kernels_only(X: Tensor, K: Tensor) -> Tensor:
    h = w = K.shape[0]
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum()
    return Y


@misconception(
    "corr2d",
    breaks=(*SIZES, "equivalence_1x1"),
    says="corr2d treats every image as square",
    look="its width is X.shape[1], which need not be X.shape[0]",
)
def square_images_only(X: Tensor, K: Tensor) -> Tensor:
    n, (h, w) = X.shape[0], K.shape
    Y = torch.zeros(n - h + 1, n - w + 1)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum()
    return Y


@misconception(
    "corr2d",
    breaks=(*SIZES, "equivalence_1x1"),
    says="corr2d's windows and output are those of a 2x2 kernel, whatever the kernel is",
    look="the window is as large as K, and the book's kernel of 2x2 is only an example",
)
def kernel_size_of_the_example(X: Tensor, K: Tensor) -> Tensor:
    Y = torch.zeros(X.shape[0] - 1, X.shape[1] - 1)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + 2, j : j + 2] * K).sum()
    return Y


@misconception(
    "corr2d",
    breaks=(*SIZES, "equivalence_1x1"),
    says="corr2d's output is one row and one column too small",
    look="a kernel as large as the image fits once: count the positions for a small example",
)
def output_one_too_small(X: Tensor, K: Tensor) -> Tensor:
    h, w = K.shape
    Y = torch.zeros(X.shape[0] - h, X.shape[1] - w)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum()
    return Y


@misconception(
    "corr2d",
    breaks=(*VALUES, "equivalence_1x1"),
    says="corr2d leaves the last row and the last column of its output at zero",
    look="range(n) already ends with n - 1, so the loops need no further subtraction",
)
def last_row_and_column_left_out(X: Tensor, K: Tensor) -> Tensor:
    h, w = K.shape
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1)
    for i in range(Y.shape[0] - 1):
        for j in range(Y.shape[1] - 1):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum()
    return Y


@misconception(
    "corr2d",
    breaks=SIZES,
    says="corr2d's output is as large as the image, with zeros at its end",
    look="without padding the kernel has fewer positions than the image has pixels",
)
def output_as_large_as_the_image(X: Tensor, K: Tensor) -> Tensor:
    h, w = K.shape
    Y = torch.zeros(X.shape)
    for i in range(X.shape[0] - h + 1):
        for j in range(X.shape[1] - w + 1):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum()
    return Y


@misconception(
    "corr2d",
    breaks=SIZES,
    says="corr2d pads the image with zeros before it slides the kernel",
    look="padding comes later, in section 7.3, and corr2d has none",
)
def padded_image(X: Tensor, K: Tensor) -> Tensor:
    h, w = K.shape
    return F.conv2d(X[None, None], K[None, None], padding=(h // 2, w // 2))[0, 0]


@misconception(
    "corr2d",
    breaks=(*SIZES, "equivalence_1x1"),
    says="corr2d moves the kernel by two pixels at a time",
    look="it moves by one, down and to the right; strides come later, in section 7.3",
)
def stride_of_two(X: Tensor, K: Tensor) -> Tensor:
    return F.conv2d(X[None, None], K[None, None], stride=2)[0, 0]


@misconception(
    "corr2d",
    breaks=(*VALUES, "equivalence_1x1"),
    says="corr2d adds up the window itself, without the kernel",
    look="the kernel's entries are the weights of the sum",
)
def kernel_forgotten(X: Tensor, K: Tensor) -> Tensor:
    h, w = K.shape
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = X[i : i + h, j : j + w].sum()
    return Y


@misconception(
    "corr2d",
    breaks=VALUES,
    says="corr2d takes the mean of the products in place of their sum",
    look="the products of a window and the kernel are added up and not divided by their number",
)
def mean_of_the_products(X: Tensor, K: Tensor) -> Tensor:
    h, w = K.shape
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).mean()
    return Y


@misconception(
    "corr2d",
    breaks=SIZES,
    says="corr2d takes the matrix product of a window and the kernel",
    look="they are multiplied entry by entry, with * and not @",
)
def matrix_product(X: Tensor, K: Tensor) -> Tensor:
    h, w = K.shape
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] @ K).sum()
    return Y


@misconception(
    "corr2d",
    breaks=(*VALUES, "equivalence_1x1"),
    says="corr2d carries its sum over from one window to the next",
    look="each entry of the output has a sum of its own, which starts at 0",
)
def sum_never_reset(X: Tensor, K: Tensor) -> Tensor:
    h, w = K.shape
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1)
    total = torch.zeros(())
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            total = total + (X[i : i + h, j : j + w] * K).sum()
            Y[i, j] = total
    return Y


@misconception(
    "corr2d",
    breaks=(*VALUES, "equivalence_1x1"),
    says="corr2d has the first window's sum in every entry",
    look="the window moves with i and j",
)
def window_never_moves(X: Tensor, K: Tensor) -> Tensor:
    h, w = K.shape
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[:h, :w] * K).sum()
    return Y


@misconception(
    "corr2d",
    breaks=(*VALUES, "equivalence_1x1"),
    says="corr2d's output has its first entry only, with zeros elsewhere",
    look="a return that is indented into the loops ends them after the first window",
)
def return_inside_the_loops(X: Tensor, K: Tensor) -> Tensor:
    h, w = K.shape
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum()
            return Y
    return Y


@misconception(
    "corr2d",
    breaks=(*VALUES, "equivalence_1x1"),
    says="corr2d's output has the right shape, and all its entries are zero",
    look="check what is assigned to the entries before they are returned",
)
def output_never_filled(X: Tensor, K: Tensor) -> Tensor:
    h, w = K.shape
    return torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1)


@misconception(
    "corr2d",
    breaks=(*SIZES, "equivalence_1x1"),
    says="corr2d returns nothing",
    look="a function without a return statement gives None: return the output",
)
def return_forgotten(X: Tensor, K: Tensor) -> None:
    h, w = K.shape
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum()


@misconception(
    "corr2d",
    breaks=("corr2d.values", *MAPS, "equivalence_1x1"),
    says="corr2d drops the digits after the decimal point",
    look="the output is a tensor of integers, while the image and the kernel have real numbers",
)
def integer_output(X: Tensor, K: Tensor) -> Tensor:
    h, w = K.shape
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1, dtype=torch.long)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum().detach()
    return Y


@misconception(
    "corr2d",
    breaks=(*VALUES, "equivalence_1x1"),
    says="corr2d writes into the image itself",
    look="a slice of X shares its numbers with X: products and results need a tensor of their own",
)
def image_overwritten(X: Tensor, K: Tensor) -> Tensor:
    h, w = K.shape
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            window = X[i : i + h, j : j + w]
            window *= K
            Y[i, j] = window.sum()
    return Y


@misconception(
    "corr2d",
    breaks=("conv2d_layer",),
    says="corr2d takes numbers out of their tensors, so that no gradient reaches the kernel",
    look=".item(), float(), .data and .detach() end the computation graph",
    same_as=("weight_detached",),
)
def plain_numbers(X: Tensor, K: Tensor) -> Tensor:
    h, w = K.shape
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum().item()
    return Y

"""Typical mistakes with 1x1 convolution as a matrix product, each a small change: d2l.ai section 7.4.3."""

import torch
from torch import Tensor

from grader.testing import alter

POINTWISE = ("corr2d_1x1", "equivalence_1x1")
PRODUCT = "torch.matmul(K, X)"


def corr2d_multi_in_out_1x1(X: Tensor, K: Tensor) -> Tensor:
    c_i, h, w = X.shape
    c_o = K.shape[0]
    X = X.reshape(c_i, h * w)
    K = K.reshape(c_o, c_i)
    Y = torch.matmul(K, X)
    return Y.reshape(c_o, h, w)


image_not_reshaped = alter(
    corr2d_multi_in_out_1x1,
    {"    X = X.reshape(c_i, h * w)\n": ""},
    breaks=POINTWISE,
    says="the image is not reshaped to a matrix before the product, which then goes over its rows",
    look="the product sums over the channels if each channel is one row of a matrix, (c_i, h * w)",
)

kernels_not_reshaped = alter(
    corr2d_multi_in_out_1x1,
    {"    K = K.reshape(c_o, c_i)\n": ""},
    breaks=POINTWISE,
    says="the kernels are not reshaped before the matrix product",
    look="K has four dimensions; the product takes a matrix (c_o, c_i)",
)

nothing_reshaped = alter(
    corr2d_multi_in_out_1x1,
    {"    X = X.reshape(c_i, h * w)\n": "", "    K = K.reshape(c_o, c_i)\n": ""},
    breaks=POINTWISE,
    says="neither the image nor the kernels are reshaped before the matrix product",
    look="the product takes two matrices, (c_o, c_i) and (c_i, h * w)",
)

product_in_the_wrong_order = alter(
    corr2d_multi_in_out_1x1,
    {PRODUCT: "torch.matmul(X, K)"},
    breaks=POINTWISE,
    says="the matrix product has its factors in the wrong order",
    look="(c_o, c_i) times (c_i, h * w) gives (c_o, h * w): the kernels come first",
)

transposed_image_first = alter(
    corr2d_multi_in_out_1x1,
    {PRODUCT: "torch.matmul(X.T, K)"},
    breaks=POINTWISE,
    says="the transposed image is multiplied by the kernels, whose shapes do not fit",
    look="(c_o, c_i) times (c_i, h * w) gives (c_o, h * w): the kernels come first",
)

kernels_transposed = alter(
    corr2d_multi_in_out_1x1,
    {PRODUCT: "torch.matmul(K.T, X)"},
    breaks=POINTWISE,
    says="the matrix of the kernels is transposed",
    look="(c_o, c_i) times (c_i, h * w) gives (c_o, h * w): the matrix stays as it is",
)

image_transposed = alter(
    corr2d_multi_in_out_1x1,
    {PRODUCT: "torch.matmul(K, X.T)"},
    breaks=POINTWISE,
    says="the matrix of the image is transposed",
    look="(c_o, c_i) times (c_i, h * w) gives (c_o, h * w): the matrix stays as it is",
)

kernels_reshaped_the_other_way = alter(
    corr2d_multi_in_out_1x1,
    {"K.reshape(c_o, c_i)": "K.reshape(c_i, c_o)"},
    breaks=POINTWISE,
    says="the kernels are reshaped to (c_i, c_o)",
    look="K has the shape (c_o, c_i, 1, 1): the output channels come first",
)

image_reshaped_the_other_way = alter(
    corr2d_multi_in_out_1x1,
    {"X.reshape(c_i, h * w)": "X.reshape(h * w, c_i)"},
    breaks=POINTWISE,
    says="the image is reshaped to (h * w, c_i)",
    look="X has the shape (c_i, h, w): the channels come first",
)

output_of_the_input_channels = alter(
    corr2d_multi_in_out_1x1,
    {"Y.reshape(c_o, h, w)": "Y.reshape(c_i, h, w)"},
    breaks=POINTWISE,
    says="the output is reshaped to c_i channels",
    look="it has c_o channels, as many as there are kernels",
)

outputs_counted_by_the_inputs = alter(
    corr2d_multi_in_out_1x1,
    {"K.shape[0]": "K.shape[1]"},
    breaks=POINTWISE,
    says="the number of output channels is taken from K.shape[1], which is that of the input channels",
    look="K has the shape (c_o, c_i, 1, 1)",
)

channels_read_last = alter(
    corr2d_multi_in_out_1x1,
    {"c_i, h, w = X": "h, w, c_i = X"},
    breaks=POINTWISE,
    says="the image's shape is read as (h, w, c_i)",
    look="its channels come first: (c_i, h, w)",
)

shape_of_the_kernels_for_the_image = alter(
    corr2d_multi_in_out_1x1,
    {"w = X.shape": "w = K.shape"},
    breaks=POINTWISE,
    says="the image's channels, height and width are read from K.shape, which has four numbers",
    look="they are those of X",
)

matrices_multiplied_entry_by_entry = alter(
    corr2d_multi_in_out_1x1,
    {PRODUCT: "K * X"},
    breaks=POINTWISE,
    says="the two matrices are multiplied entry by entry",
    look="a matrix product, which is torch.matmul or @, sums over the input channels too",
)

height_and_width_added = alter(
    corr2d_multi_in_out_1x1,
    {"h * w": "h + w"},
    breaks=POINTWISE,
    says="the image is reshaped to h + w columns",
    look="a channel has h times w pixels",
)

square_image = alter(
    corr2d_multi_in_out_1x1,
    {"h * w": "h * h"},
    breaks=POINTWISE,
    says="the image is reshaped to h * h columns, as if it were square",
    look="a channel has h times w pixels",
)

product_forgotten_to_return = alter(
    corr2d_multi_in_out_1x1,
    {"return Y": "Y"},
    breaks=POINTWISE,
    says="corr2d_multi_in_out_1x1 returns nothing",
    look="a function without a return statement gives None: return the product",
)

dot_product = alter(
    corr2d_multi_in_out_1x1,
    {PRODUCT: "torch.dot(K, X)"},
    breaks=POINTWISE,
    says="the product is taken with torch.dot, which is for vectors",
    look="matrices are multiplied by torch.matmul or @",
)

batched_product = alter(
    corr2d_multi_in_out_1x1,
    {PRODUCT: "torch.bmm(K, X)"},
    breaks=POINTWISE,
    says="the product is taken with torch.bmm, which is for batches of matrices",
    look="matrices are multiplied by torch.matmul or @",
)

product_averaged = alter(
    corr2d_multi_in_out_1x1,
    {PRODUCT: "torch.matmul(K, X) / c_i"},
    breaks=POINTWISE,
    says="the sum over the input channels is divided by their number",
    look="it is a sum, and no mean",
)

corr2d_for_1x1 = alter(
    corr2d_multi_in_out_1x1,
    {"c_i, h, w = X.shape": "return corr2d(X, K)"},
    breaks=POINTWISE,
    says="corr2d gets an image and kernels of several channels",
    look="it takes two dimensions: multiply matrices of the channels instead",
)

first_kernel_of_1x1_only = alter(
    corr2d_multi_in_out_1x1,
    {"K = K.reshape(c_o, c_i)": "K = K[0].reshape(1, c_i)"},
    breaks=POINTWISE,
    says="only the kernel of the first output channel is used",
    look="each output channel has a row of its own in the matrix (c_o, c_i)",
)

kernels_squeezed = alter(
    corr2d_multi_in_out_1x1,
    {"K.reshape(c_o, c_i)": "K.squeeze()"},
    breaks=POINTWISE,
    says="the kernels lose every dimension of size 1, also that of a single input or output channel",
    look="reshape K to (c_o, c_i): a dimension of 1 stays then",
)

entry_products_summed = alter(
    corr2d_multi_in_out_1x1,
    {PRODUCT: "(K * X).sum(0)"},
    breaks=POINTWISE,
    says="the two matrices are multiplied entry by entry, and the products added up",
    look="a matrix product, which is torch.matmul or @, sums over the input channels for each output channel and pixel",
)

output_like_the_reshaped_image = alter(
    corr2d_multi_in_out_1x1,
    {"Y.reshape(c_o, h, w)": "Y.reshape(X.shape)"},
    breaks=POINTWISE,
    says="the output is reshaped to the shape of the image's matrix",
    look="it has the shape (c_o, h, w)",
)

kernels_flattened = alter(
    corr2d_multi_in_out_1x1,
    {"K.reshape(c_o, c_i)": "K.reshape(-1)"},
    breaks=POINTWISE,
    says="the kernels are flattened to a single row",
    look="they make a matrix with a row for each output channel: (c_o, c_i)",
)

first_input_channel_of_1x1_only = alter(
    corr2d_multi_in_out_1x1,
    {PRODUCT: "torch.matmul(K[:, :1], X[:1])"},
    breaks=POINTWISE,
    says="only the first input channel is used",
    look="every channel counts: the product sums over all of them",
)

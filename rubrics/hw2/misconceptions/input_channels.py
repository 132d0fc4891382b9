"""Typical mistakes with several input channels, each a small change: d2l.ai section 7.4.1."""

import torch
from torch import Tensor

from grader.testing import alter

INPUTS = ("corr2d_multi_in", "corr2d_multi_in_out", "equivalence_1x1")
SUM = "sum(corr2d(x, k) for x, k in zip(X, K, strict=False))"
RETURN = "return sum(corr2d(x, k) for x, k in zip(X, K, strict=False))"


def corr2d(X: Tensor, K: Tensor) -> Tensor:
    h, w = K.shape
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum()
    return Y


def corr2d_multi_in(X: Tensor, K: Tensor) -> Tensor:
    return sum(corr2d(x, k) for x, k in zip(X, K, strict=False))  # type: ignore[return-value]


list_of_input_maps = alter(
    corr2d_multi_in,
    {SUM: "[corr2d(x, k) for x, k in zip(X, K, strict=False)]"},
    breaks=INPUTS,
    says="corr2d_multi_in returns a list of maps, one for each input channel",
    look="they are added up to one map",
    on=(corr2d,),
)

columns_added = alter(
    corr2d_multi_in,
    {SUM: "torch.stack([corr2d(x, k) for x, k in zip(X, K, strict=False)]).sum(dim=2)"},
    breaks=INPUTS,
    says="the sum goes over the columns of the maps instead of over the channels",
    look="in a stack of maps the channels are dimension 0",
    on=(corr2d,),
)

largest_of_the_channels = alter(
    corr2d_multi_in,
    {SUM: "torch.stack([corr2d(x, k) for x, k in zip(X, K, strict=False)]).amax(dim=0)"},
    breaks=INPUTS,
    says="the largest value of the input channels is taken",
    look="their maps are added up",
    on=(corr2d,),
)

last_input_channel_left_out = alter(
    corr2d_multi_in,
    {SUM: "sum(corr2d(X[i], K[i]) for i in range(len(X) - 1))"},
    breaks=INPUTS,
    says="the last input channel is left out",
    look="range(n) already ends with n - 1, so it needs no further subtraction",
    on=(corr2d,),
)

first_input_channel_left_out = alter(
    corr2d_multi_in,
    {SUM: "sum(corr2d(X[i], K[i]) for i in range(1, len(X)))"},
    breaks=INPUTS,
    says="the first input channel is left out",
    look="the first channel has index 0",
    on=(corr2d,),
)

first_image_for_all_inputs = alter(
    corr2d_multi_in,
    {SUM: "sum(corr2d(X[0], k) for k in K)"},
    breaks=INPUTS,
    says="every kernel slides over the first input channel",
    look="each kernel belongs to a channel of its own",
    on=(corr2d,),
)

whole_kernel_for_each_input = alter(
    corr2d_multi_in,
    {SUM: "sum(corr2d(x, K) for x in X)"},
    breaks=INPUTS,
    says="corr2d gets the kernels of several channels at once",
    look="it takes an image and a kernel of two dimensions: call it for each channel",
    on=(corr2d,),
)

channels_counted_by_the_height = alter(
    corr2d_multi_in,
    {SUM: "sum(corr2d(X[i], K[i]) for i in range(X.shape[1]))"},
    breaks=INPUTS,
    says="the loop over the input channels runs as often as the image has rows",
    look="the number of channels is X.shape[0]",
    on=(corr2d,),
)

channels_counted_by_the_width = alter(
    corr2d_multi_in,
    {SUM: "sum(corr2d(X[i], K[i]) for i in range(X.shape[2]))"},
    breaks=INPUTS,
    says="the loop over the input channels runs as often as the image has columns",
    look="the number of channels is X.shape[0]",
    on=(corr2d,),
)

channels_on_the_second_axis = alter(
    corr2d_multi_in,
    {SUM: "sum(corr2d(X[:, i], K[:, i]) for i in range(X.shape[1]))"},
    breaks=INPUTS,
    says="the loop goes over the rows of X and K as if they were the channels",
    look="the channels are dimension 0: X[i] is a channel, X[:, i] is not",
    on=(corr2d,),
)

channels_on_the_last_axis = alter(
    corr2d_multi_in,
    {SUM: "sum(corr2d(X[:, :, i], K[:, :, i]) for i in range(X.shape[2]))"},
    breaks=INPUTS,
    says="the loop goes over the columns of X and K as if they were the channels",
    look="the channels are dimension 0: X[i] is a channel, X[:, :, i] is not",
    on=(corr2d,),
)

image_and_kernel_confused = alter(
    corr2d_multi_in,
    {"corr2d(x, k)": "corr2d(k, x)"},
    breaks=INPUTS,
    says="corr2d gets the kernel as its image, and the image as its kernel",
    look="it takes the image first, then the kernel",
    on=(corr2d,),
)

pairs_of_a_tuple = alter(
    corr2d_multi_in,
    {"zip(X, K, strict=False)": "(X, K)"},
    breaks=INPUTS,
    says="the loop goes over the pair of X and K, and not over their channels",
    look="zip(X, K) pairs the channels",
    on=(corr2d,),
)

map_of_the_images_size = alter(
    corr2d_multi_in,
    {RETURN: "Y = torch.zeros(X.shape[1:])\n    for x, k in zip(X, K):\n        Y = Y + corr2d(x, k)\n    return Y"},
    breaks=(
        "corr2d_multi_in",
        "corr2d_multi_in_out",
    ),
    says="the maps are added to a tensor as large as the image",
    look="the maps are smaller than the image: start from 0",
    on=(corr2d,),
)

sum_forgotten_to_return = alter(
    corr2d_multi_in,
    {"return sum": "sum"},
    breaks=INPUTS,
    says="corr2d_multi_in returns nothing",
    look="a function without a return statement gives None: return the sum",
    on=(corr2d,),
)

channel_products_kept = alter(
    corr2d_multi_in,
    {SUM: "torch.stack([corr2d(x, k) for x, k in zip(X, K, strict=False)]).sum(dim=0, keepdim=True)"},
    breaks=INPUTS,
    says="corr2d_multi_in's sum keeps the dimension of the channels",
    look="the result has two dimensions, height and width",
    on=(corr2d,),
)

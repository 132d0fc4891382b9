"""Typical mistakes with several output channels, each a small change: d2l.ai section 7.4.2."""

import torch
from torch import Tensor

from grader.testing import alter

OUTPUTS = ("corr2d_multi_in_out", "equivalence_1x1")
STACK = "torch.stack([corr2d_multi_in(X, k) for k in K], 0)"
RETURN = "return torch.stack([corr2d_multi_in(X, k) for k in K], 0)"


def corr2d(X: Tensor, K: Tensor) -> Tensor:
    h, w = K.shape
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum()
    return Y


def corr2d_multi_in(X: Tensor, K: Tensor) -> Tensor:
    return sum(corr2d(x, k) for x, k in zip(X, K, strict=False))  # type: ignore[return-value]


BOOK = (corr2d, corr2d_multi_in)


def corr2d_multi_in_out(X: Tensor, K: Tensor) -> Tensor:
    return torch.stack([corr2d_multi_in(X, k) for k in K], 0)


last_output_channel_only = alter(
    corr2d_multi_in_out,
    {RETURN: "for k in K:\n        Y = corr2d_multi_in(X, k)\n    return Y"},
    breaks=OUTPUTS,
    says="corr2d_multi_in_out gives the last output channel only",
    look="each turn of the loop overwrites the map of the one before: collect them and stack them",
    on=BOOK,
)

last_output_channel_left_out = alter(
    corr2d_multi_in_out,
    {"for k in K": "for k in K[:-1]"},
    breaks=OUTPUTS,
    says="corr2d_multi_in_out leaves the last output channel out",
    look="there are K.shape[0] output channels",
    on=BOOK,
)

first_output_channel_left_out = alter(
    corr2d_multi_in_out,
    {"for k in K": "for k in K[1:]"},
    breaks=OUTPUTS,
    says="corr2d_multi_in_out leaves the first output channel out",
    look="the first channel has index 0",
    on=BOOK,
)

output_channels_averaged = alter(
    corr2d_multi_in_out,
    {STACK: "torch.stack([corr2d_multi_in(X, k) for k in K], 0).mean(0)"},
    breaks=OUTPUTS,
    says="corr2d_multi_in_out takes the mean of the output channels",
    look="each output channel keeps a map of its own",
    on=BOOK,
)

batch_dimension_added = alter(
    corr2d_multi_in_out,
    {STACK: "torch.stack([corr2d_multi_in(X, k) for k in K], 0).unsqueeze(0)"},
    breaks=OUTPUTS,
    says="corr2d_multi_in_out adds a dimension in front of the output channels",
    look="the result has three dimensions: channels, height, width",
    on=BOOK,
)

output_channels_counted_by_the_inputs = alter(
    corr2d_multi_in_out,
    {STACK: "torch.stack([corr2d_multi_in(X, K[i]) for i in range(K.shape[1])], 0)"},
    breaks=OUTPUTS,
    says="corr2d_multi_in_out makes as many maps as there are input channels",
    look="the number of output channels is K.shape[0]",
    on=BOOK,
)

input_channels_of_the_kernels_by_outputs = alter(
    corr2d_multi_in_out,
    {STACK: "torch.stack([corr2d_multi_in(X, K[:, i]) for i in range(K.shape[0])], 0)"},
    breaks=OUTPUTS,
    says="corr2d_multi_in_out takes its kernels along the second axis of K, the input channels",
    look="the output channels are dimension 0 of K: K[i] is a kernel, K[:, i] is not",
    on=BOOK,
)

all_kernels_at_once = alter(
    corr2d_multi_in_out,
    {STACK: "corr2d_multi_in(X, K)"},
    breaks=OUTPUTS,
    says="corr2d gets kernels of several channels at once",
    look="corr2d_multi_in is the function for several channels, and takes the kernels of one output channel: k, not K",
    on=BOOK,
)

inputs_and_outputs_zipped = alter(
    corr2d_multi_in_out,
    {STACK: "torch.stack([corr2d_multi_in(x, k) for x, k in zip(X, K, strict=False)], 0)"},
    breaks=OUTPUTS,
    says="corr2d_multi_in_out pairs each output channel's kernels with one input channel",
    look="every output channel sees all of the input channels",
    on=BOOK,
)

outputs_not_stacked = alter(
    corr2d_multi_in_out,
    {STACK: "torch.tensor([corr2d_multi_in(X, k) for k in K])"},
    breaks=OUTPUTS,
    says="corr2d_multi_in_out makes a tensor of a list of maps with torch.tensor, which takes numbers",
    look="torch.stack makes one tensor of several",
    on=BOOK,
)

maps_and_kernels_confused = alter(
    corr2d_multi_in_out,
    {"corr2d_multi_in(X, k)": "corr2d_multi_in(k, X)"},
    breaks=OUTPUTS,
    says="corr2d_multi_in gets the kernels as its image, and the image as its kernels",
    look="it takes the image first, then the kernels",
    on=BOOK,
)

kernels_transposed_each = alter(
    corr2d_multi_in_out,
    {"corr2d_multi_in(X, k)": "corr2d_multi_in(X, k.transpose(1, 2))"},
    breaks=("corr2d_multi_in_out",),
    says="corr2d_multi_in_out transposes its kernels",
    look="they are used as they are",
    on=BOOK,
)

output_channels_reversed = alter(
    corr2d_multi_in_out,
    {"for k in K": "for k in K.flip(0)"},
    breaks=OUTPUTS,
    says="corr2d_multi_in_out has the output channels in reverse order",
    look="the first kernel makes the first map",
    on=BOOK,
)

calls_itself = alter(
    corr2d_multi_in_out,
    {"corr2d_multi_in(X": "corr2d_multi_in_out(X"},
    breaks=OUTPUTS,
    says="corr2d_multi_in_out calls itself",
    look="corr2d_multi_in is the function that makes one map",
    on=BOOK,
)

outputs_forgotten_to_return = alter(
    corr2d_multi_in_out,
    {"return torch": "torch"},
    breaks=OUTPUTS,
    says="corr2d_multi_in_out returns nothing",
    look="a function without a return statement gives None: return the maps",
    on=BOOK,
)

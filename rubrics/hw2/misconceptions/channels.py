"""Typical mistakes with several input and output channels: d2l.ai section 7.4."""

import torch
from torch import Tensor

from grader.testing import misconception
from reference import corr2d, corr2d_multi_in

OUTPUTS = ("corr2d_multi_in_out", "equivalence_1x1")
INPUTS = ("corr2d_multi_in", *OUTPUTS)
POINTWISE = ("corr2d_1x1", "equivalence_1x1")


@misconception(
    "corr2d_multi_in",
    breaks=INPUTS,
    says="there is a map for each input channel",
    look="the maps of the input channels are added up to one",
)
def input_channels_not_added(X: Tensor, K: Tensor) -> Tensor:
    return torch.stack([corr2d(x, k) for x, k in zip(X, K, strict=True)])


@misconception(
    "corr2d_multi_in",
    breaks=INPUTS,
    says="the maps of the input channels are joined one below the other",
    look="they lie on top of each other and are added up, entry by entry",
)
def input_channels_concatenated(X: Tensor, K: Tensor) -> Tensor:
    return torch.cat([corr2d(x, k) for x, k in zip(X, K, strict=True)])


@misconception(
    "corr2d_multi_in",
    breaks=INPUTS,
    says="the mean of the input channels is taken",
    look="their maps are added up and not divided by the number of channels",
)
def input_channels_averaged(X: Tensor, K: Tensor) -> Tensor:
    return torch.stack([corr2d(x, k) for x, k in zip(X, K, strict=True)]).mean(dim=0)


@misconception(
    "corr2d_multi_in",
    breaks=INPUTS,
    says="the maps of the input channels are multiplied by each other",
    look="they are added up",
)
def input_channels_multiplied(X: Tensor, K: Tensor) -> Tensor:
    return torch.stack([corr2d(x, k) for x, k in zip(X, K, strict=True)]).prod(dim=0)


@misconception(
    "corr2d_multi_in",
    breaks=INPUTS,
    says="everything is added up to a single number",
    look="the sum goes over the channels only and leaves a map",
)
def sum_of_everything(X: Tensor, K: Tensor) -> Tensor:
    return torch.stack([corr2d(x, k) for x, k in zip(X, K, strict=True)]).sum()


@misconception(
    "corr2d_multi_in",
    breaks=INPUTS,
    says="the sum goes over the rows of the maps instead of over the channels",
    look="in a stack of maps the channels are dimension 0",
)
def rows_added(X: Tensor, K: Tensor) -> Tensor:
    return torch.stack([corr2d(x, k) for x, k in zip(X, K, strict=True)]).sum(dim=1)


@misconception(
    "corr2d_multi_in",
    breaks=INPUTS,
    says="only the first input channel is used",
    look="every channel counts",
)
def first_input_channel_only(X: Tensor, K: Tensor) -> Tensor:
    return corr2d(X[0], K[0])


@misconception(
    "corr2d_multi_in",
    breaks=INPUTS,
    says="only the last input channel is kept",
    look="if each turn of a loop overwrites the map of the one before, add to it instead",
)
def map_overwritten(X: Tensor, K: Tensor) -> Tensor:
    Y = corr2d(X[0], K[0])
    for x, k in zip(X, K, strict=True):
        Y = corr2d(x, k)
    return Y


@misconception(
    "corr2d_multi_in",
    breaks=INPUTS,
    says="exactly two input channels are used, the number in the book's example",
    look="X.shape[0] says how many there are",
)
def two_input_channels_only(X: Tensor, K: Tensor) -> Tensor:
    return corr2d(X[0], K[0]) + corr2d(X[1], K[1])


@misconception(
    "corr2d_multi_in",
    breaks=INPUTS,
    says="the first input channel's kernel slides over all of them",
    look="each channel has a kernel of its own",
)
def first_kernel_for_all_inputs(X: Tensor, K: Tensor) -> Tensor:
    return torch.stack([corr2d(x, K[0]) for x in X]).sum(dim=0)


@misconception(
    "corr2d_multi_in",
    breaks=INPUTS,
    says="the kernels of all the input channels slide over all of the channels",
    look="each channel meets its own kernel only: zip pairs them, and the sum comes last",
)
def channels_added_first(X: Tensor, K: Tensor) -> Tensor:
    return corr2d(X.sum(dim=0), K.sum(dim=0))


@misconception(
    "corr2d_multi_in_out",
    breaks=OUTPUTS,
    says="corr2d_multi_in_out adds up the maps of the output channels",
    look="each output channel keeps a map of its own; only input channels are added up",
)
def output_channels_added(X: Tensor, K: Tensor) -> Tensor:
    return torch.stack([corr2d_multi_in(X, k) for k in K]).sum(dim=0)


@misconception(
    "corr2d_multi_in_out",
    breaks=OUTPUTS,
    says="corr2d_multi_in_out joins the maps of the output channels one below the other",
    look="they make a new dimension, the first: torch.stack and not torch.cat",
)
def output_channels_concatenated(X: Tensor, K: Tensor) -> Tensor:
    return torch.cat([corr2d_multi_in(X, k) for k in K])


@misconception(
    "corr2d_multi_in_out",
    breaks=OUTPUTS,
    says="corr2d_multi_in_out stacks its maps along dimension 1",
    look="the output channels come first",
)
def output_channels_in_the_middle(X: Tensor, K: Tensor) -> Tensor:
    return torch.stack([corr2d_multi_in(X, k) for k in K], dim=1)


@misconception(
    "corr2d_multi_in_out",
    breaks=OUTPUTS,
    says="corr2d_multi_in_out stacks its maps along the last dimension",
    look="the output channels come first",
)
def output_channels_last(X: Tensor, K: Tensor) -> Tensor:
    return torch.stack([corr2d_multi_in(X, k) for k in K], dim=-1)


@misconception(
    "corr2d_multi_in_out",
    breaks=OUTPUTS,
    says="corr2d_multi_in_out returns a list of maps",
    look="they have to be stacked into one tensor",
)
def list_of_maps(X: Tensor, K: Tensor) -> list[Tensor]:
    return [corr2d_multi_in(X, k) for k in K]


@misconception(
    "corr2d_multi_in_out",
    breaks=OUTPUTS,
    says="corr2d_multi_in_out gives the first output channel only",
    look="K[0] is one kernel of several: there are K.shape[0]",
)
def first_output_channel_only(X: Tensor, K: Tensor) -> Tensor:
    return corr2d_multi_in(X, K[0])


@misconception(
    "corr2d_multi_in_out",
    breaks=OUTPUTS,
    says="corr2d_multi_in_out uses the first kernel for all of the output channels",
    look="the kernel has to change with the output channel",
)
def first_kernel_for_all_outputs(X: Tensor, K: Tensor) -> Tensor:
    return torch.stack([corr2d_multi_in(X, K[0]) for _ in K])


@misconception(
    "corr2d_multi_in_out",
    breaks=OUTPUTS,
    says="corr2d_multi_in_out goes through the input channels of K instead of the output channels",
    look="K has the shape (c_o, c_i, k_h, k_w)",
)
def kernels_of_the_wrong_axis(X: Tensor, K: Tensor) -> Tensor:
    maps = [[corr2d(x, k) for x, k in zip(X, K[:, i], strict=False)] for i in range(K.shape[1])]
    return torch.stack([torch.stack(each).sum(dim=0) for each in maps])


@misconception(
    "corr2d_multi_in_out",
    breaks=OUTPUTS,
    says="corr2d_multi_in_out pairs each output channel with one input channel",
    look="every output channel sees all of the input channels",
)
def one_input_for_each_output(X: Tensor, K: Tensor) -> Tensor:
    return torch.stack([corr2d(x, k[0]) for x, k in zip(X, K, strict=False)])


@misconception(
    "corr2d_multi_in_out",
    breaks=OUTPUTS,
    says="corr2d_multi_in_out returns a map for each pair of an output and an input channel",
    look="for each output channel the maps of the input channels are added up",
)
def map_for_each_pair_of_channels(X: Tensor, K: Tensor) -> Tensor:
    return torch.stack([torch.stack([corr2d(x, k) for x, k in zip(X, kernel, strict=True)]) for kernel in K])


@misconception(
    "corr2d_multi_in_out_1x1",
    breaks=POINTWISE,
    says="the image is reshaped to (h * w, c_i), which mixes its channels up",
    look="reshape keeps the order of the numbers: to swap two dimensions, transpose",
)
def image_reshaped_not_transposed(X: Tensor, K: Tensor) -> Tensor:
    c_i, h, w = X.shape
    c_o = K.shape[0]
    Y = X.reshape(h * w, c_i) @ K.reshape(c_o, c_i).T
    return Y.T.reshape(c_o, h, w)


@misconception(
    "corr2d_multi_in_out_1x1",
    breaks=POINTWISE,
    says="the product has the channels last and is reshaped as if they came first",
    look="reshape keeps the order of the numbers: to swap two dimensions, transpose",
)
def product_reshaped_not_transposed(X: Tensor, K: Tensor) -> Tensor:
    c_i, h, w = X.shape
    c_o = K.shape[0]
    Y = X.reshape(c_i, h * w).T @ K.reshape(c_o, c_i).T
    return Y.reshape(c_o, h, w)


@misconception(
    "corr2d_multi_in_out_1x1",
    breaks=POINTWISE,
    says="the kernels are reshaped to (c_i, c_o), which mixes their entries up",
    look="K has the shape (c_o, c_i, 1, 1), and reshape keeps the order of the numbers",
)
def kernels_reshaped_not_transposed(X: Tensor, K: Tensor) -> Tensor:
    c_i, h, w = X.shape
    c_o = K.shape[0]
    Y = K.reshape(c_i, c_o).T @ X.reshape(c_i, h * w)
    return Y.reshape(c_o, h, w)


@misconception(
    "corr2d_multi_in_out_1x1",
    breaks=POINTWISE,
    says="the output has the shape (c_o, h * w)",
    look="each row of the matrix product is a map and must be reshaped to its height and width",
)
def height_and_width_not_restored(X: Tensor, K: Tensor) -> Tensor:
    c_i, h, w = X.shape
    return K.reshape(K.shape[0], c_i) @ X.reshape(c_i, h * w)


@misconception(
    "corr2d_multi_in_out_1x1",
    breaks=POINTWISE,
    says="height and width are swapped in the last reshape",
    look="the maps have the image's own height and width, in this order",
)
def height_and_width_restored_swapped(X: Tensor, K: Tensor) -> Tensor:
    c_i, h, w = X.shape
    c_o = K.shape[0]
    Y = K.reshape(c_o, c_i) @ X.reshape(c_i, h * w)
    return Y.reshape(c_o, w, h)


@misconception(
    "corr2d_multi_in_out_1x1",
    breaks=POINTWISE,
    says="the kernels are multiplied with the image entry by entry",
    look="a matrix product, which is @, sums over the input channels too",
)
def product_entry_by_entry(X: Tensor, K: Tensor) -> Tensor:
    return K * X


@misconception(
    "corr2d_multi_in_out_1x1",
    breaks=POINTWISE,
    says="the output's channels come last",
    look="its shape is (c_o, h, w)",
)
def channels_last(X: Tensor, K: Tensor) -> Tensor:
    return X.permute(1, 2, 0) @ K[:, :, 0, 0].T


@misconception(
    "corr2d_multi_in_out_1x1",
    breaks=POINTWISE,
    says="the output has 0 in place of negative values",
    look="a convolution is linear: no activation function follows it here",
)
def negative_values_cut_off(X: Tensor, K: Tensor) -> Tensor:
    c_i, h, w = X.shape
    c_o = K.shape[0]
    Y = K.reshape(c_o, c_i) @ X.reshape(c_i, h * w)
    return torch.relu(Y).reshape(c_o, h, w)


@misconception(
    "corr2d_multi_in_out_1x1",
    breaks=POINTWISE,
    says="the output has the right shape, and all its entries are zero",
    look="check what is assigned to the entries before they are returned",
)
def maps_never_filled(X: Tensor, K: Tensor) -> Tensor:
    return torch.zeros(K.shape[0], X.shape[1], X.shape[2])

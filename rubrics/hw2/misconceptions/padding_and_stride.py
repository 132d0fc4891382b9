"""Typical mistakes with a layer's padding and stride: d2l.ai section 7.3."""

from torch import Tensor, nn
from torch.nn import functional as F

from grader.testing import misconception
from reference import corr2d

BREAKS = ("comp_conv2d.shape",)


@misconception(
    "comp_conv2d",
    breaks=BREAKS,
    says="comp_conv2d returns four dimensions, including those of batch and channel",
    look="it takes an image of two dimensions and returns a map of two",
)
def four_dimensions_kept(layer: nn.Module, X: Tensor) -> Tensor:
    Y: Tensor = layer(X[None, None])
    return Y


@misconception(
    "comp_conv2d",
    breaks=BREAKS,
    says="comp_conv2d removes the batch dimension and keeps the channel dimension",
    look="both were added, so both have to be removed",
)
def channel_dimension_kept(layer: nn.Module, X: Tensor) -> Tensor:
    Y: Tensor = layer(X[None, None])
    return Y[0]


@misconception(
    "comp_conv2d",
    breaks=BREAKS,
    says="comp_conv2d squeezes away every dimension of size 1, even a map's own row or column",
    look="only the first two dimensions have to be removed; a map may be one pixel high",
)
def rows_of_one_squeezed(layer: nn.Module, X: Tensor) -> Tensor:
    Y: Tensor = layer(X[None, None])
    return Y.squeeze()


@misconception(
    "comp_conv2d",
    breaks=BREAKS,
    says="comp_conv2d gives its map the shape of the image",
    look="the map's height and width are those of the layer's output, which padding and stride decide",
)
def shape_of_the_image(layer: nn.Module, X: Tensor) -> Tensor:
    Y: Tensor = layer(X[None, None])
    return Y.reshape(X.shape)


@misconception(
    "comp_conv2d",
    breaks=BREAKS,
    says="comp_conv2d swaps the map's height and width when it reshapes it",
    look="the layer's output has the shape (1, 1, height, width)",
)
def height_and_width_of_the_map_swapped(layer: nn.Module, X: Tensor) -> Tensor:
    Y: Tensor = layer(X[None, None])
    return Y.reshape(Y.shape[3], Y.shape[2])


@misconception(
    "comp_conv2d",
    breaks=BREAKS,
    says="comp_conv2d transposes the map",
    look="its rows are those of the layer's output",
)
def transposed_map(layer: nn.Module, X: Tensor) -> Tensor:
    Y: Tensor = layer(X[None, None])
    return Y[0, 0].T


@misconception(
    "comp_conv2d",
    breaks=BREAKS,
    says="comp_conv2d returns the map's shape",
    look="it returns the map itself, whose .shape the book then shows",
)
def shape_instead_of_the_map(layer: nn.Module, X: Tensor) -> tuple[int, ...]:
    Y: Tensor = layer(X[None, None])
    return tuple(Y.shape[2:])


@misconception(
    "comp_conv2d",
    breaks=BREAKS,
    says="comp_conv2d returns the image unchanged",
    look="the layer has to be applied to it",
)
def layer_never_applied(layer: nn.Module, X: Tensor) -> Tensor:
    return X[None, None][0, 0]


@misconception(
    "comp_conv2d",
    breaks=BREAKS,
    says="comp_conv2d uses the layer's weight and none of its padding, stride and bias",
    look="call the layer, which applies all of them",
)
def weight_alone(layer: nn.Conv2d, X: Tensor) -> Tensor:
    return corr2d(X, layer.weight[0, 0])


@misconception(
    "comp_conv2d",
    breaks=BREAKS,
    says="comp_conv2d leaves out the layer's bias",
    look="call the layer, which adds it",
)
def bias_of_the_layer_left_out(layer: nn.Conv2d, X: Tensor) -> Tensor:
    return F.conv2d(X[None, None], layer.weight, padding=layer.padding, stride=layer.stride)[0, 0]


@misconception(
    "comp_conv2d",
    breaks=BREAKS,
    says="comp_conv2d ignores the layer's padding",
    look="call the layer, which pads the image on all four sides",
)
def padding_ignored(layer: nn.Conv2d, X: Tensor) -> Tensor:
    return F.conv2d(X[None, None], layer.weight, layer.bias, stride=layer.stride)[0, 0]


@misconception(
    "comp_conv2d",
    breaks=BREAKS,
    says="comp_conv2d ignores the layer's stride",
    look="call the layer, which moves its kernel by the stride",
)
def stride_ignored(layer: nn.Conv2d, X: Tensor) -> Tensor:
    return F.conv2d(X[None, None], layer.weight, layer.bias, padding=layer.padding)[0, 0]


@misconception(
    "comp_conv2d",
    breaks=BREAKS,
    says="comp_conv2d pads the image before it calls the layer, which pads it once more",
    look="the layer does all the padding itself",
)
def padded_twice(layer: nn.Conv2d, X: Tensor) -> Tensor:
    assert isinstance(layer.padding, tuple)
    p_h, p_w = layer.padding
    padded = F.pad(X, (p_w, p_w, p_h, p_h))
    Y: Tensor = layer(padded[None, None])
    return Y[0, 0]


@misconception(
    "comp_conv2d",
    breaks=BREAKS,
    says="comp_conv2d halves the layer's padding",
    look="nn.Conv2d's padding is that of each side, not the total of both",
)
def padding_halved(layer: nn.Conv2d, X: Tensor) -> Tensor:
    assert isinstance(layer.padding, tuple)
    p_h, p_w = layer.padding
    padding = (p_h // 2, p_w // 2)
    return F.conv2d(X[None, None], layer.weight, layer.bias, padding=padding, stride=layer.stride)[0, 0]


@misconception(
    "comp_conv2d",
    breaks=BREAKS,
    says="comp_conv2d pads at the bottom and on the right only",
    look="the layer pads both sides of the image",
)
def padding_on_one_side(layer: nn.Conv2d, X: Tensor) -> Tensor:
    assert isinstance(layer.padding, tuple)
    p_h, p_w = layer.padding
    padded = F.pad(X, (0, 2 * p_w, 0, 2 * p_h))
    return F.conv2d(padded[None, None], layer.weight, layer.bias, stride=layer.stride)[0, 0]

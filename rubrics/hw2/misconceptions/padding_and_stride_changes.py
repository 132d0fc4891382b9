"""More mistakes with a layer's padding and stride, each a small change: d2l.ai section 7.3."""

from torch import Tensor, nn

from grader.testing import alter

MAP = ("comp_conv2d.shape",)


def comp_conv2d(conv2d: nn.Module, X: Tensor) -> Tensor:
    X = X.reshape((1, 1, *X.shape))
    Y: Tensor = conv2d(X)
    return Y.reshape(Y.shape[2:])


batch_and_channel_reshaped_to = alter(
    comp_conv2d,
    {"[2:]": "[:2]"},
    breaks=MAP,
    says="comp_conv2d reshapes the map to its batch and channel dimensions",
    look="[:2] are the first two dimensions; those to keep come after them",
)

height_cut_off = alter(
    comp_conv2d,
    {"[2:]": "[3:]"},
    breaks=MAP,
    says="comp_conv2d reshapes the map to its width",
    look="the height and the width are the last two of four dimensions",
)

one_dimension_added_only = alter(
    comp_conv2d,
    {"(1, 1, *X.shape)": "(1, *X.shape)"},
    breaks=MAP,
    says="comp_conv2d adds one dimension to the image, and cuts two off the map",
    look="two have to be added, for batch and channel, and the same two removed",
    same_as=("height_cut_off",),
)

dimensions_not_added = alter(
    comp_conv2d,
    {"    X = X.reshape((1, 1, *X.shape))\n": ""},
    breaks=MAP,
    says="comp_conv2d gives the image to the layer without dimensions for batch and channel",
    look="two have to be added before the layer is called: (1, 1) in front of the image's shape",
)

dimensions_added_at_the_end = alter(
    comp_conv2d,
    {"(1, 1, *X.shape)": "(*X.shape, 1, 1)"},
    breaks=MAP,
    says="comp_conv2d adds the dimensions for batch and channel at the end",
    look="batch and channel come first: (1, 1, height, width)",
)

channel_added_at_the_end = alter(
    comp_conv2d,
    {"(1, 1, *X.shape)": "(1, *X.shape, 1)"},
    breaks=MAP,
    says="comp_conv2d adds the channel dimension at the end",
    look="torch's layers take (batch, channel, height, width)",
)

whole_shape_returned = alter(
    comp_conv2d,
    {"Y.reshape(Y.shape[2:])": "Y.shape"},
    breaks=MAP,
    says="comp_conv2d returns the shape of the layer's output",
    look="it returns the map itself, whose .shape the book then shows",
)

map_forgotten = alter(
    comp_conv2d,
    {"return Y.reshape": "Y.reshape"},
    breaks=MAP,
    says="comp_conv2d returns nothing",
    look="a function without a return statement gives None: return the map",
)

image_of_the_example = alter(
    comp_conv2d,
    {"(1, 1, *X.shape)": "(1, 1, 8, 8)"},
    breaks=MAP,
    says="comp_conv2d works for images of 8x8 only, the size of the book's example",
    look="X.shape says how large the image is",
)

map_of_the_example = alter(
    comp_conv2d,
    {"Y.shape[2:]": "(8, 8)"},
    breaks=MAP,
    says="comp_conv2d works for maps of 8x8 only, the size of the book's first example",
    look="Y.shape says how large the map is",
)

map_flattened = alter(
    comp_conv2d,
    {"Y.reshape(Y.shape[2:])": "Y.reshape(-1)"},
    breaks=MAP,
    says="comp_conv2d returns the map's entries in one row",
    look="only the first two dimensions have to be removed",
)

comp_arguments_confused = alter(
    comp_conv2d,
    {"X = X.reshape": "X, conv2d = conv2d, X\n    X = X.reshape"},
    breaks=MAP,
    says="comp_conv2d takes its arguments in the wrong order: the image as the layer",
    look="the layer comes first, then the image",
)

map_with_relu = alter(
    comp_conv2d,
    {"Y.reshape(Y.shape[2:])": "torch.relu(Y).reshape(Y.shape[2:])"},
    breaks=MAP,
    says="comp_conv2d has 0 in place of negative results",
    look="the layer's output is returned as it is",
)

layer_of_its_own = alter(
    comp_conv2d,
    {"conv2d(X)": "nn.Conv2d(1, 1, kernel_size=3, padding=1)(X)"},
    breaks=MAP,
    says="comp_conv2d applies a layer that it makes itself",
    look="the layer to apply is its first argument",
)

layer_applied_twice = alter(
    comp_conv2d,
    {"conv2d(X)": "conv2d(conv2d(X))"},
    breaks=MAP,
    says="comp_conv2d applies the layer twice",
    look="it is applied once",
)

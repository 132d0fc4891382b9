"""Typical mistakes with the loop of vgg_block: d2l.ai section 8.2.1."""

from torch import nn

from grader.testing import misconception

BLOCK, NETWORK = "vgg_block", "vgg11.shapes"


@misconception(
    "vgg_block",
    breaks=(BLOCK, NETWORK),
    says="the block has a single convolution, whatever num_convs says",
    look="check that the return statement stands after the loop, and that the loop adds to the list",
)
def one_convolution_whatever_is_asked_for(num_convs: int, out_channels: int) -> nn.Sequential:
    layers = [nn.LazyConv2d(out_channels, kernel_size=3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.MaxPool2d(kernel_size=2, stride=2))


@misconception(
    "vgg_block",
    breaks=(BLOCK, NETWORK),
    says="nn.Sequential gets a list where it expects a layer",
    look="write a star before the list, nn.Sequential(*layers), so that it gets the layers themselves",
)
def block_of_a_list(num_convs: int, out_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(num_convs):
        layers += [nn.LazyConv2d(out_channels, kernel_size=3, padding=1), nn.ReLU()]
    return nn.Sequential(layers)  # type: ignore[call-overload, no-any-return]


@misconception(
    "vgg_block",
    breaks=(BLOCK, NETWORK),
    says="one convolution is made and put into the block several times",
    look="[layer] * n repeats the same object: make a new layer in each turn of the loop",
)
def one_convolution_repeated(num_convs: int, out_channels: int) -> nn.Sequential:
    layers = [nn.LazyConv2d(out_channels, kernel_size=3, padding=1), nn.ReLU()] * num_convs
    return nn.Sequential(*layers, nn.MaxPool2d(kernel_size=2, stride=2))


@misconception(
    "vgg_block",
    breaks=(BLOCK, NETWORK),
    says="the pooling comes before the convolutions",
    look="the block's first layer is a convolution, and its last one the pooling",
)
def pooling_first(num_convs: int, out_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.MaxPool2d(kernel_size=2, stride=2)]
    for _ in range(num_convs):
        layers += [nn.LazyConv2d(out_channels, kernel_size=3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers)


@misconception(
    "vgg_block",
    breaks=(BLOCK, NETWORK),
    says="no ReLU follows the last convolution of a block",
    look="the book's loop adds a ReLU after every convolution",
)
def relu_between_convolutions_only(num_convs: int, out_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(num_convs):
        layers += [nn.LazyConv2d(out_channels, kernel_size=3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers[:-1], nn.MaxPool2d(kernel_size=2, stride=2))

"""Typical mistakes with networks using blocks (VGG): d2l.ai section 8.2."""

from collections.abc import Sequence

from torch import nn

from grader.testing import misconception
from reference import vgg_block

BLOCK, NETWORK = "vgg_block", "vgg11.shapes"


@misconception(
    "vgg_block",
    breaks=(BLOCK, NETWORK),
    says="the convolutions have no padding, so that each of them makes the maps smaller",
    look="within a block only the pooling changes the height and the width",
)
def convolutions_without_padding(num_convs: int, out_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(num_convs):
        layers += [nn.LazyConv2d(out_channels, kernel_size=3), nn.ReLU()]
    return nn.Sequential(*layers, nn.MaxPool2d(kernel_size=2, stride=2))


@misconception(
    "vgg_block",
    breaks=(BLOCK, NETWORK),
    says="the block has no pooling",
    look="each block ends by halving the height and the width",
)
def block_without_pooling(num_convs: int, out_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(num_convs):
        layers += [nn.LazyConv2d(out_channels, kernel_size=3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers)


@misconception(
    "vgg_block",
    breaks=(BLOCK, NETWORK),
    says="the pooling windows move by one pixel only",
    look="the stride of the pooling decides how much the maps shrink",
)
def block_pooling_with_stride_one(num_convs: int, out_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(num_convs):
        layers += [nn.LazyConv2d(out_channels, kernel_size=3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.MaxPool2d(kernel_size=2, stride=1))


@misconception(
    "vgg_block",
    breaks=(BLOCK, NETWORK),
    says="a pooling follows each of the convolutions",
    look="a block has a single pooling, however many convolutions it has",
)
def pooling_after_each_convolution(num_convs: int, out_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(num_convs):
        layers += [nn.LazyConv2d(out_channels, kernel_size=3, padding=1), nn.ReLU()]
        layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
    return nn.Sequential(*layers)


@misconception(
    "vgg_block",
    breaks=(BLOCK,),
    says="the pooling takes means",
    look="the pooling that ends a VGG block is of the other kind",
)
def average_pooling(num_convs: int, out_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(num_convs):
        layers += [nn.LazyConv2d(out_channels, kernel_size=3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AvgPool2d(kernel_size=2, stride=2))


@misconception(
    "vgg_block",
    breaks=(BLOCK,),
    says="the pooling windows are 3x3 and overlap, as in AlexNet",
    look="the windows of VGG's pooling lie side by side",
)
def overlapping_pooling(num_convs: int, out_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(num_convs):
        layers += [nn.LazyConv2d(out_channels, kernel_size=3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.MaxPool2d(kernel_size=3, stride=2, padding=1))


@misconception(
    "vgg_block",
    breaks=(BLOCK, NETWORK),
    says="the kernels are 5x5",
    look="VGG is built on the idea that several small kernels do better than a large one",
)
def large_kernels(num_convs: int, out_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(num_convs):
        layers += [nn.LazyConv2d(out_channels, kernel_size=5, padding=2), nn.ReLU()]
    return nn.Sequential(*layers, nn.MaxPool2d(kernel_size=2, stride=2))


@misconception(
    "vgg_block",
    breaks=(BLOCK, NETWORK),
    says="the block has no ReLU",
    look="a convolution is linear, and without a nonlinear function between them two do no more than one",
)
def block_without_relu(num_convs: int, out_channels: int) -> nn.Sequential:
    convolutions = [nn.LazyConv2d(out_channels, kernel_size=3, padding=1) for _ in range(num_convs)]
    return nn.Sequential(*convolutions, nn.MaxPool2d(kernel_size=2, stride=2))


@misconception(
    "vgg_block",
    breaks=(BLOCK, NETWORK),
    says="ReLU follows only the last convolution of a block",
    look="check whether it is inside the loop over the convolutions",
)
def relu_after_the_last_convolution_only(num_convs: int, out_channels: int) -> nn.Sequential:
    convolutions = [nn.LazyConv2d(out_channels, kernel_size=3, padding=1) for _ in range(num_convs)]
    return nn.Sequential(*convolutions, nn.ReLU(), nn.MaxPool2d(kernel_size=2, stride=2))


@misconception(
    "vgg_block",
    breaks=(BLOCK, NETWORK),
    says="the activation function is the sigmoid",
    look="that is LeNet's; VGG uses another one, as AlexNet does",
)
def sigmoid_for_relu(num_convs: int, out_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(num_convs):
        layers += [nn.LazyConv2d(out_channels, kernel_size=3, padding=1), nn.Sigmoid()]
    return nn.Sequential(*layers, nn.MaxPool2d(kernel_size=2, stride=2))


@misconception(
    "vgg_block",
    breaks=(BLOCK, NETWORK),
    says="there is one convolution fewer than num_convs says",
    look="check where the loop over the convolutions ends",
)
def one_convolution_too_few(num_convs: int, out_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(num_convs - 1):
        layers += [nn.LazyConv2d(out_channels, kernel_size=3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.MaxPool2d(kernel_size=2, stride=2))


@misconception(
    "vgg_block",
    breaks=(BLOCK, NETWORK),
    says="there is one convolution more than num_convs says",
    look="count the layers before the loop as well as those made in it",
)
def one_convolution_too_many(num_convs: int, out_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.LazyConv2d(out_channels, kernel_size=3, padding=1), nn.ReLU()]
    for _ in range(num_convs):
        layers += [nn.LazyConv2d(out_channels, kernel_size=3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.MaxPool2d(kernel_size=2, stride=2))


@misconception(
    "vgg_block",
    breaks=(BLOCK, NETWORK),
    says="every convolution of a block expects as many channels as the block's input has",
    look="from the second one on, the input is the output of the previous convolution",
)
def channels_not_passed_on(num_convs: int, out_channels: int, in_channels: int = 1) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(num_convs):
        layers += [nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.MaxPool2d(kernel_size=2, stride=2))


@misconception(
    "vgg_block",
    breaks=(BLOCK,),
    says="the convolutions have no biases",
    look="the book leaves the argument bias as it is: no normalisation follows that would make it useless",
)
def block_without_biases(num_convs: int, out_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(num_convs):
        layers += [nn.LazyConv2d(out_channels, kernel_size=3, padding=1, bias=False), nn.ReLU()]
    return nn.Sequential(*layers, nn.MaxPool2d(kernel_size=2, stride=2))


@misconception(
    "vgg_block",
    breaks=(BLOCK,),
    says="the convolutions are followed by batch normalisation",
    look="it is introduced only in section 8.5, and this section's block does not use it",
)
def block_with_batch_normalisation(num_convs: int, out_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(num_convs):
        layers += [nn.LazyConv2d(out_channels, kernel_size=3, padding=1), nn.LazyBatchNorm2d(), nn.ReLU()]
    return nn.Sequential(*layers, nn.MaxPool2d(kernel_size=2, stride=2))


@misconception(
    "VGG",
    breaks=(NETWORK,),
    says="the hidden layers have 1024 units",
    look="the fully connected layers of VGG are as wide as AlexNet's",
)
class NarrowHiddenLayers(nn.Sequential):
    def __init__(self, arch: Sequence[tuple[int, int]], num_classes: int = 10) -> None:
        super().__init__(
            *(vgg_block(num_convs, out_channels) for num_convs, out_channels in arch),
            *(nn.Flatten(), nn.LazyLinear(1024), nn.ReLU(), nn.Dropout(0.5)),
            *(nn.LazyLinear(1024), nn.ReLU(), nn.Dropout(0.5), nn.LazyLinear(num_classes)),
        )


@misconception(
    "VGG",
    breaks=(NETWORK,),
    says="there is one hidden layer after the blocks",
    look="the network ends with three fully connected layers, including the output layer",
)
class OneHiddenLayerTooFew(nn.Sequential):
    def __init__(self, arch: Sequence[tuple[int, int]], num_classes: int = 10) -> None:
        super().__init__(
            *(vgg_block(num_convs, out_channels) for num_convs, out_channels in arch),
            *(nn.Flatten(), nn.LazyLinear(4096), nn.ReLU(), nn.Dropout(0.5), nn.LazyLinear(num_classes)),
        )


@misconception(
    "VGG",
    breaks=(NETWORK,),
    says="no ReLU follows the hidden layers",
    look="dropout is not an activation function: with it, two linear layers still do no more than one",
)
class ReluMissingAfterHiddenLayers(nn.Sequential):
    def __init__(self, arch: Sequence[tuple[int, int]], num_classes: int = 10) -> None:
        super().__init__(
            *(vgg_block(num_convs, out_channels) for num_convs, out_channels in arch),
            *(nn.Flatten(), nn.LazyLinear(4096), nn.Dropout(0.5)),
            *(nn.LazyLinear(4096), nn.Dropout(0.5), nn.LazyLinear(num_classes)),
        )


@misconception(
    "VGG",
    breaks=(NETWORK,),
    says="the last block of arch is left out",
    look="check where the loop over the blocks ends",
)
class LastBlockLeftOut(nn.Sequential):
    def __init__(self, arch: Sequence[tuple[int, int]], num_classes: int = 10) -> None:
        super().__init__(
            *(vgg_block(num_convs, out_channels) for num_convs, out_channels in arch[:-1]),
            *(nn.Flatten(), nn.LazyLinear(4096), nn.ReLU(), nn.Dropout(0.5)),
            *(nn.LazyLinear(4096), nn.ReLU(), nn.Dropout(0.5), nn.LazyLinear(num_classes)),
        )


@misconception(
    "VGG",
    breaks=(NETWORK,),
    says="the maps of the last block are pooled once more before they are flattened",
    look="the first fully connected layer takes all of their pixels",
)
class GlobalPoolingAdded(nn.Sequential):
    def __init__(self, arch: Sequence[tuple[int, int]], num_classes: int = 10) -> None:
        super().__init__(
            *(vgg_block(num_convs, out_channels) for num_convs, out_channels in arch),
            *(nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.LazyLinear(4096), nn.ReLU(), nn.Dropout(0.5)),
            *(nn.LazyLinear(4096), nn.ReLU(), nn.Dropout(0.5), nn.LazyLinear(num_classes)),
        )


@misconception(
    "VGG",
    breaks=(NETWORK,),
    says="the maps are not flattened before the first fully connected layer",
    look="a linear layer works on the last dimension alone, and here that is the width of a map",
)
class NotFlattened(nn.Sequential):
    def __init__(self, arch: Sequence[tuple[int, int]], num_classes: int = 10) -> None:
        super().__init__(
            *(vgg_block(num_convs, out_channels) for num_convs, out_channels in arch),
            *(nn.LazyLinear(4096), nn.ReLU(), nn.Dropout(0.5)),
            *(nn.LazyLinear(4096), nn.ReLU(), nn.Dropout(0.5), nn.LazyLinear(num_classes)),
        )


@misconception(
    "VGG",
    breaks=(NETWORK,),
    says="each block has a single convolution, whatever arch says",
    look="each entry of arch holds two numbers, and both of them matter",
)
class NumberOfConvolutionsIgnored(nn.Sequential):
    def __init__(self, arch: Sequence[tuple[int, int]], num_classes: int = 10) -> None:
        super().__init__(
            *(vgg_block(1, out_channels) for _, out_channels in arch),
            *(nn.Flatten(), nn.LazyLinear(4096), nn.ReLU(), nn.Dropout(0.5)),
            *(nn.LazyLinear(4096), nn.ReLU(), nn.Dropout(0.5), nn.LazyLinear(num_classes)),
        )


@misconception(
    "VGG",
    breaks=(NETWORK,),
    says="the blocks do not follow arch: they are those of the narrow network that the section trains",
    look="VGG should build whatever its argument describes",
)
class NarrowNetworkWhateverIsAskedFor(nn.Sequential):
    def __init__(self, arch: Sequence[tuple[int, int]], num_classes: int = 10) -> None:
        narrow = ((1, 16), (1, 32), (2, 64), (2, 128), (2, 128))
        super().__init__(
            *(vgg_block(num_convs, out_channels) for num_convs, out_channels in narrow),
            *(nn.Flatten(), nn.LazyLinear(4096), nn.ReLU(), nn.Dropout(0.5)),
            *(nn.LazyLinear(4096), nn.ReLU(), nn.Dropout(0.5), nn.LazyLinear(num_classes)),
        )


@misconception(
    "VGG",
    breaks=(NETWORK,),
    says="there are 1000 classes, as in ImageNet",
    look="the section's network tells the classes of Fashion-MNIST apart",
)
class ThousandClasses(nn.Sequential):
    def __init__(self, arch: Sequence[tuple[int, int]], num_classes: int = 1000) -> None:
        super().__init__(
            *(vgg_block(num_convs, out_channels) for num_convs, out_channels in arch),
            *(nn.Flatten(), nn.LazyLinear(4096), nn.ReLU(), nn.Dropout(0.5)),
            *(nn.LazyLinear(4096), nn.ReLU(), nn.Dropout(0.5), nn.LazyLinear(num_classes)),
        )

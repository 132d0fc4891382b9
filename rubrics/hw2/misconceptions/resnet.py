"""Typical mistakes with ResNet-18: d2l.ai section 8.6.3."""

from torch import nn

from grader.testing import misconception
from reference import Residual

BLOCK, NETWORK = "residual", "resnet18.shapes"


@misconception(
    "ResNet18",
    breaks=(NETWORK,),
    says="no stage halves the maps",
    look="from the second stage on, the first block of a stage has a stride",
)
class StridesMissing(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(64, kernel_size=7, stride=2, padding=3), nn.LazyBatchNorm2d(), nn.ReLU()),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
            *(Residual(64), Residual(64), Residual(128, use_1x1conv=True), Residual(128)),
            *(Residual(256, use_1x1conv=True), Residual(256), Residual(512, use_1x1conv=True), Residual(512)),
            *(nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.LazyLinear(num_classes)),
        )


@misconception(
    "ResNet18",
    breaks=(NETWORK,),
    says="the first stage halves the maps as well",
    look="the stem's pooling has just done so, and the book treats the first stage separately",
)
class FirstStageHalves(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(64, kernel_size=7, stride=2, padding=3), nn.LazyBatchNorm2d(), nn.ReLU()),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
            *(Residual(64, use_1x1conv=True, strides=2), Residual(64)),
            *(Residual(128, use_1x1conv=True, strides=2), Residual(128)),
            *(Residual(256, use_1x1conv=True, strides=2), Residual(256)),
            *(Residual(512, use_1x1conv=True, strides=2), Residual(512)),
            *(nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.LazyLinear(num_classes)),
        )


@misconception(
    "ResNet18",
    breaks=(NETWORK,),
    says="no pooling follows the stem's convolution",
    look="the first stage should see maps of a quarter of the image's height and width",
)
class StemPoolingMissing(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(64, kernel_size=7, stride=2, padding=3), nn.LazyBatchNorm2d(), nn.ReLU()),
            *(Residual(64), Residual(64)),
            *(Residual(128, use_1x1conv=True, strides=2), Residual(128)),
            *(Residual(256, use_1x1conv=True, strides=2), Residual(256)),
            *(Residual(512, use_1x1conv=True, strides=2), Residual(512)),
            *(nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.LazyLinear(num_classes)),
        )


@misconception(
    "ResNet18",
    breaks=(NETWORK,),
    says="the pooling of the stem has no padding",
    look="its 3x3 windows halve 48 pixels only if they may begin outside the map",
)
class StemPoolingWithoutPadding(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(64, kernel_size=7, stride=2, padding=3), nn.LazyBatchNorm2d(), nn.ReLU()),
            nn.MaxPool2d(kernel_size=3, stride=2),
            *(Residual(64), Residual(64)),
            *(Residual(128, use_1x1conv=True, strides=2), Residual(128)),
            *(Residual(256, use_1x1conv=True, strides=2), Residual(256)),
            *(Residual(512, use_1x1conv=True, strides=2), Residual(512)),
            *(nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.LazyLinear(num_classes)),
        )


@misconception(
    "ResNet18",
    breaks=(NETWORK,),
    says="the stem's convolution has no stride",
    look="it halves the image before the pooling halves it again",
)
class StemWithoutStride(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(64, kernel_size=7, padding=3), nn.LazyBatchNorm2d(), nn.ReLU()),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
            *(Residual(64), Residual(64)),
            *(Residual(128, use_1x1conv=True, strides=2), Residual(128)),
            *(Residual(256, use_1x1conv=True, strides=2), Residual(256)),
            *(Residual(512, use_1x1conv=True, strides=2), Residual(512)),
            *(nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.LazyLinear(num_classes)),
        )


@misconception(
    "ResNet18",
    breaks=(NETWORK,),
    says="the kernels of the stem are 3x3",
    look="the book's ResNet begins as GoogLeNet does, with larger ones",
)
class SmallKernelsInTheStem(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(64, kernel_size=3, stride=2, padding=1), nn.LazyBatchNorm2d(), nn.ReLU()),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
            *(Residual(64), Residual(64)),
            *(Residual(128, use_1x1conv=True, strides=2), Residual(128)),
            *(Residual(256, use_1x1conv=True, strides=2), Residual(256)),
            *(Residual(512, use_1x1conv=True, strides=2), Residual(512)),
            *(nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.LazyLinear(num_classes)),
        )


@misconception(
    "ResNet18",
    breaks=(NETWORK,),
    says="each stage has a single block",
    look="count the layers with weights: there should be 18, without those of the shortcuts",
)
class OneBlockInEachStage(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(64, kernel_size=7, stride=2, padding=3), nn.LazyBatchNorm2d(), nn.ReLU()),
            *(nn.MaxPool2d(kernel_size=3, stride=2, padding=1), Residual(64)),
            *(Residual(channels, use_1x1conv=True, strides=2) for channels in (128, 256, 512)),
            *(nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.LazyLinear(num_classes)),
        )


@misconception(
    "ResNet18",
    breaks=(NETWORK,),
    says="each stage has three blocks",
    look="count the layers with weights: there should be 18, without those of the shortcuts",
)
class ThreeBlocksInEachStage(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(64, kernel_size=7, stride=2, padding=3), nn.LazyBatchNorm2d(), nn.ReLU()),
            *(nn.MaxPool2d(kernel_size=3, stride=2, padding=1), Residual(64), Residual(64), Residual(64)),
            *(Residual(128, use_1x1conv=True, strides=2), Residual(128), Residual(128)),
            *(Residual(256, use_1x1conv=True, strides=2), Residual(256), Residual(256)),
            *(Residual(512, use_1x1conv=True, strides=2), Residual(512), Residual(512)),
            *(nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.LazyLinear(num_classes)),
        )


@misconception(
    "ResNet18",
    breaks=(NETWORK,),
    says="the last stage is left out",
    look="there are four of them",
)
class LastStageLeftOut(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(64, kernel_size=7, stride=2, padding=3), nn.LazyBatchNorm2d(), nn.ReLU()),
            *(nn.MaxPool2d(kernel_size=3, stride=2, padding=1), Residual(64), Residual(64)),
            *(Residual(128, use_1x1conv=True, strides=2), Residual(128)),
            *(Residual(256, use_1x1conv=True, strides=2), Residual(256)),
            *(nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.LazyLinear(num_classes)),
        )


@misconception(
    "ResNet18",
    breaks=(NETWORK,),
    says="the network begins with 32 channels",
    look="each stage has twice the channels of the one before, so the first number decides them all",
)
class HalfTheChannels(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(32, kernel_size=7, stride=2, padding=3), nn.LazyBatchNorm2d(), nn.ReLU()),
            *(nn.MaxPool2d(kernel_size=3, stride=2, padding=1), Residual(32), Residual(32)),
            *(Residual(64, use_1x1conv=True, strides=2), Residual(64)),
            *(Residual(128, use_1x1conv=True, strides=2), Residual(128)),
            *(Residual(256, use_1x1conv=True, strides=2), Residual(256)),
            *(nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.LazyLinear(num_classes)),
        )


@misconception(
    "ResNet18",
    breaks=(NETWORK,),
    says="the last maps are flattened without global pooling",
    look="the output layer should take one number for each channel",
)
class GlobalPoolingMissing(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(64, kernel_size=7, stride=2, padding=3), nn.LazyBatchNorm2d(), nn.ReLU()),
            *(nn.MaxPool2d(kernel_size=3, stride=2, padding=1), Residual(64), Residual(64)),
            *(Residual(128, use_1x1conv=True, strides=2), Residual(128)),
            *(Residual(256, use_1x1conv=True, strides=2), Residual(256)),
            *(Residual(512, use_1x1conv=True, strides=2), Residual(512)),
            *(nn.Flatten(), nn.LazyLinear(num_classes)),
        )


@misconception(
    "ResNet18",
    breaks=(NETWORK,),
    says="no fully connected layer follows the global pooling",
    look="the network should end with one number for each class",
)
class OutputLayerMissing(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(64, kernel_size=7, stride=2, padding=3), nn.LazyBatchNorm2d(), nn.ReLU()),
            *(nn.MaxPool2d(kernel_size=3, stride=2, padding=1), Residual(64), Residual(64)),
            *(Residual(128, use_1x1conv=True, strides=2), Residual(128)),
            *(Residual(256, use_1x1conv=True, strides=2), Residual(256)),
            *(Residual(512, use_1x1conv=True, strides=2), Residual(512)),
            *(nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten()),
        )


@misconception(
    "ResNet18",
    breaks=(NETWORK,),
    says="no ReLU stands in the stem",
    look="as in the blocks, a ReLU follows the normalisation of the first convolution",
)
class StemWithoutRelu(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(64, kernel_size=7, stride=2, padding=3), nn.LazyBatchNorm2d()),
            *(nn.MaxPool2d(kernel_size=3, stride=2, padding=1), Residual(64), Residual(64)),
            *(Residual(128, use_1x1conv=True, strides=2), Residual(128)),
            *(Residual(256, use_1x1conv=True, strides=2), Residual(256)),
            *(Residual(512, use_1x1conv=True, strides=2), Residual(512)),
            *(nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.LazyLinear(num_classes)),
        )


@misconception(
    "ResNet18",
    breaks=(NETWORK,),
    says="no batch normalisation stands in the stem",
    look="in contrast to GoogLeNet, every convolution of the book's ResNet but the shortcuts' is followed by one",
)
class StemWithoutNormalisation(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(64, kernel_size=7, stride=2, padding=3), nn.ReLU()),
            *(nn.MaxPool2d(kernel_size=3, stride=2, padding=1), Residual(64), Residual(64)),
            *(Residual(128, use_1x1conv=True, strides=2), Residual(128)),
            *(Residual(256, use_1x1conv=True, strides=2), Residual(256)),
            *(Residual(512, use_1x1conv=True, strides=2), Residual(512)),
            *(nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.LazyLinear(num_classes)),
        )


@misconception(
    "ResNet18",
    breaks=(NETWORK,),
    says="the stem's ReLU comes before its batch normalisation",
    look="the book's order is convolution, normalisation, ReLU, pooling",
)
class StemActivatesFirst(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(64, kernel_size=7, stride=2, padding=3), nn.ReLU(), nn.LazyBatchNorm2d()),
            *(nn.MaxPool2d(kernel_size=3, stride=2, padding=1), Residual(64), Residual(64)),
            *(Residual(128, use_1x1conv=True, strides=2), Residual(128)),
            *(Residual(256, use_1x1conv=True, strides=2), Residual(256)),
            *(Residual(512, use_1x1conv=True, strides=2), Residual(512)),
            *(nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.LazyLinear(num_classes)),
        )


@misconception(
    "ResNet18",
    breaks=(NETWORK,),
    says="the stem's pooling takes means",
    look="compare it with the book's: the stem takes the maximum, and only the last pooling the mean",
)
class StemAverages(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(64, kernel_size=7, stride=2, padding=3), nn.LazyBatchNorm2d(), nn.ReLU()),
            *(nn.AvgPool2d(kernel_size=3, stride=2, padding=1), Residual(64), Residual(64)),
            *(Residual(128, use_1x1conv=True, strides=2), Residual(128)),
            *(Residual(256, use_1x1conv=True, strides=2), Residual(256)),
            *(Residual(512, use_1x1conv=True, strides=2), Residual(512)),
            *(nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.LazyLinear(num_classes)),
        )


@misconception(
    "ResNet18",
    breaks=(NETWORK,),
    says="the last pooling takes the maximum of each map",
    look="its name is global average pooling",
)
class GlobalMaximumPooling(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(64, kernel_size=7, stride=2, padding=3), nn.LazyBatchNorm2d(), nn.ReLU()),
            *(nn.MaxPool2d(kernel_size=3, stride=2, padding=1), Residual(64), Residual(64)),
            *(Residual(128, use_1x1conv=True, strides=2), Residual(128)),
            *(Residual(256, use_1x1conv=True, strides=2), Residual(256)),
            *(Residual(512, use_1x1conv=True, strides=2), Residual(512)),
            *(nn.AdaptiveMaxPool2d((1, 1)), nn.Flatten(), nn.LazyLinear(num_classes)),
        )


@misconception(
    "ResNet18",
    breaks=(NETWORK,),
    says="the blocks that halve the maps get no use_1x1conv=True",
    look="where a block has a stride, its shortcut has to change the size and the channels as well",
)
class OneByOneConvolutionsNotAskedFor(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(64, kernel_size=7, stride=2, padding=3), nn.LazyBatchNorm2d(), nn.ReLU()),
            *(nn.MaxPool2d(kernel_size=3, stride=2, padding=1), Residual(64), Residual(64)),
            *(Residual(128, strides=2), Residual(128), Residual(256, strides=2), Residual(256)),
            *(Residual(512, strides=2), Residual(512)),
            *(nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.LazyLinear(num_classes)),
        )


@misconception(
    "ResNet18",
    breaks=(NETWORK,),
    says="every stage is built as the first one is, without strides and 1x1 convolutions",
    look="check which stage gets first_block=True, and what the function does if it is False",
)
class EveryStageAsTheFirst(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(64, kernel_size=7, stride=2, padding=3), nn.LazyBatchNorm2d(), nn.ReLU()),
            *(nn.MaxPool2d(kernel_size=3, stride=2, padding=1), Residual(64), Residual(64)),
            *(Residual(128), Residual(128), Residual(256), Residual(256), Residual(512), Residual(512)),
            *(nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.LazyLinear(num_classes)),
        )

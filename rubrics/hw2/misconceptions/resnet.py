"""What goes wrong with residual networks: d2l.ai section 8.6."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from grader.testing import misconception
from reference import Residual

BLOCK, NETWORK = "residual", "resnet18.shapes"


@misconception(
    "Residual",
    breaks=(BLOCK,),
    says="the block's input is not added to what its convolutions give",
    look="without the shortcut this is a plain block as VGG has",
)
class ShortcutMissing(nn.Module):
    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides) if use_1x1conv else None
        self.bn1, self.bn2 = nn.LazyBatchNorm2d(), nn.LazyBatchNorm2d()

    def forward(self, X: Tensor) -> Tensor:
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        if self.conv3 is not None:
            X = self.conv3(X)
        return F.relu(Y)


@misconception(
    "Residual",
    breaks=(BLOCK,),
    says="the shortcut starts after the first convolution instead of at the block's input",
    look="keep the input under a name of its own until it is added",
)
class ShortcutFromTheMiddle(nn.Module):
    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1) if use_1x1conv else None
        self.bn1, self.bn2 = nn.LazyBatchNorm2d(), nn.LazyBatchNorm2d()

    def forward(self, X: Tensor) -> Tensor:
        X = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(X))
        return F.relu(Y + (X if self.conv3 is None else self.conv3(X)))


@misconception(
    "Residual",
    breaks=(BLOCK,),
    says="the second ReLU comes before the shortcut is added",
    look="in the book's figure the arrow of the shortcut ends before the last ReLU",
)
class ReluBeforeTheSum(nn.Module):
    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides) if use_1x1conv else None
        self.bn1, self.bn2 = nn.LazyBatchNorm2d(), nn.LazyBatchNorm2d()

    def forward(self, X: Tensor) -> Tensor:
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = F.relu(self.bn2(self.conv2(Y)))
        return Y + (X if self.conv3 is None else self.conv3(X))


@misconception(
    "Residual",
    breaks=(BLOCK,),
    says="ReLU is applied before the shortcut is added, and after it once more",
    look="what the shortcut is added to may be negative, too: the branch ends with its normalisation",
)
class ReluBeforeAndAfterTheSum(nn.Module):
    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides) if use_1x1conv else None
        self.bn1, self.bn2 = nn.LazyBatchNorm2d(), nn.LazyBatchNorm2d()

    def forward(self, X: Tensor) -> Tensor:
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = F.relu(self.bn2(self.conv2(Y)))
        return F.relu(Y + (X if self.conv3 is None else self.conv3(X)))


@misconception(
    "Residual",
    breaks=(BLOCK,),
    says="no ReLU follows the sum",
    look="the block's output passes through one last ReLU in the book",
)
class LastReluMissing(nn.Module):
    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides) if use_1x1conv else None
        self.bn1, self.bn2 = nn.LazyBatchNorm2d(), nn.LazyBatchNorm2d()

    def forward(self, X: Tensor) -> Tensor:
        Y: Tensor = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        return Y + (X if self.conv3 is None else self.conv3(X))


@misconception(
    "Residual",
    breaks=(BLOCK,),
    says="no ReLU stands between the two convolutions",
    look="a convolution right after another, with only a normalisation between them, is linear",
)
class MiddleReluMissing(nn.Module):
    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides) if use_1x1conv else None
        self.bn1, self.bn2 = nn.LazyBatchNorm2d(), nn.LazyBatchNorm2d()

    def forward(self, X: Tensor) -> Tensor:
        Y = self.bn2(self.conv2(self.bn1(self.conv1(X))))
        return F.relu(Y + (X if self.conv3 is None else self.conv3(X)))


@misconception(
    "Residual",
    breaks=(BLOCK,),
    says="the shortcut is added twice",
    look="look at what Y and X are at each sum",
)
class ShortcutAddedTwice(nn.Module):
    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides) if use_1x1conv else None
        self.bn1, self.bn2 = nn.LazyBatchNorm2d(), nn.LazyBatchNorm2d()

    def forward(self, X: Tensor) -> Tensor:
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        X = X if self.conv3 is None else self.conv3(X)
        Y += X
        return F.relu(Y + X)


@misconception(
    "Residual",
    breaks=(BLOCK,),
    says="the shortcut is subtracted",
    look="the block's mapping is f(x) = g(x) + x, where g is what the convolutions learn",
)
class ShortcutSubtracted(nn.Module):
    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides) if use_1x1conv else None
        self.bn1, self.bn2 = nn.LazyBatchNorm2d(), nn.LazyBatchNorm2d()

    def forward(self, X: Tensor) -> Tensor:
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        return F.relu(Y - (X if self.conv3 is None else self.conv3(X)))


@misconception(
    "Residual",
    breaks=(BLOCK, NETWORK),
    says="the shortcut is concatenated to the channels instead of added to them",
    look="that is the idea of DenseNet in the section after; here the number of channels stays what it is",
)
class ShortcutConcatenated(nn.Module):
    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides) if use_1x1conv else None
        self.bn1, self.bn2 = nn.LazyBatchNorm2d(), nn.LazyBatchNorm2d()

    def forward(self, X: Tensor) -> Tensor:
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        return F.relu(torch.cat((Y, X if self.conv3 is None else self.conv3(X)), dim=1))


@misconception(
    "Residual",
    breaks=(BLOCK,),
    says="the sum is written into the block's input",
    look="X += Y changes the tensor that the caller still holds; let the sum be a new one, or write it into Y",
)
class InputChanged(nn.Module):
    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides) if use_1x1conv else None
        self.bn1, self.bn2 = nn.LazyBatchNorm2d(), nn.LazyBatchNorm2d()

    def forward(self, X: Tensor) -> Tensor:
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        if self.conv3 is not None:
            X = self.conv3(X)
        X += Y
        return F.relu(X)


@misconception(
    "Residual",
    breaks=(BLOCK, NETWORK),
    says="use_1x1conv is ignored, and the input is added although its shape is another",
    look="where channels or size change, the shortcut needs a layer of its own",
)
class OneByOneConvolutionIgnored(nn.Module):
    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.bn1, self.bn2 = nn.LazyBatchNorm2d(), nn.LazyBatchNorm2d()

    def forward(self, X: Tensor) -> Tensor:
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        return F.relu(Y + X)


@misconception(
    "Residual",
    breaks=(BLOCK,),
    says="the shortcut has its 1x1 convolution even where use_1x1conv is False",
    look="by default the input is added as it is",
)
class OneByOneConvolutionAlways(nn.Module):
    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides)
        self.bn1, self.bn2 = nn.LazyBatchNorm2d(), nn.LazyBatchNorm2d()

    def forward(self, X: Tensor) -> Tensor:
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        return F.relu(Y + self.conv3(X))


@misconception(
    "Residual",
    breaks=(BLOCK, NETWORK),
    says="the 1x1 convolution of the shortcut has no stride",
    look="the shortcut has to shrink as the first convolution does",
)
class ShortcutWithoutStride(nn.Module):
    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1) if use_1x1conv else None
        self.bn1, self.bn2 = nn.LazyBatchNorm2d(), nn.LazyBatchNorm2d()

    def forward(self, X: Tensor) -> Tensor:
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        return F.relu(Y + (X if self.conv3 is None else self.conv3(X)))


@misconception(
    "Residual",
    breaks=(BLOCK, NETWORK),
    says="the second convolution has the stride, the first one has none",
    look="the block halves the maps at its beginning",
)
class StrideOnTheSecondConvolution(nn.Module):
    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides) if use_1x1conv else None
        self.bn1, self.bn2 = nn.LazyBatchNorm2d(), nn.LazyBatchNorm2d()

    def forward(self, X: Tensor) -> Tensor:
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        return F.relu(Y + (X if self.conv3 is None else self.conv3(X)))


@misconception(
    "Residual",
    breaks=(BLOCK, NETWORK),
    says="both 3x3 convolutions have the stride, so that the branch shrinks twice",
    look="one of them keeps the size that the other gave",
)
class StrideOnBothConvolutions(nn.Module):
    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides) if use_1x1conv else None
        self.bn1, self.bn2 = nn.LazyBatchNorm2d(), nn.LazyBatchNorm2d()

    def forward(self, X: Tensor) -> Tensor:
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        return F.relu(Y + (X if self.conv3 is None else self.conv3(X)))


@misconception(
    "Residual",
    breaks=(BLOCK, NETWORK),
    says="the 3x3 convolutions have no padding, so that what they give is smaller than the input",
    look="the two can only be added where both are of one size",
)
class ResidualWithoutPadding(nn.Module):
    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides) if use_1x1conv else None
        self.bn1, self.bn2 = nn.LazyBatchNorm2d(), nn.LazyBatchNorm2d()

    def forward(self, X: Tensor) -> Tensor:
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        return F.relu(Y + (X if self.conv3 is None else self.conv3(X)))


@misconception(
    "Residual",
    breaks=(BLOCK,),
    says="there is no batch normalisation",
    look="in the book each 3x3 convolution is followed by one",
)
class BatchNormalisationMissing(nn.Module):
    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides) if use_1x1conv else None

    def forward(self, X: Tensor) -> Tensor:
        Y = self.conv2(F.relu(self.conv1(X)))
        return F.relu(Y + (X if self.conv3 is None else self.conv3(X)))


@misconception(
    "Residual",
    breaks=(BLOCK,),
    says="only the first of the two convolutions is normalised",
    look="a batch normalisation belongs after the second one as well, before the sum",
)
class SecondNormalisationMissing(nn.Module):
    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides) if use_1x1conv else None
        self.bn1 = nn.LazyBatchNorm2d()

    def forward(self, X: Tensor) -> Tensor:
        Y = self.conv2(F.relu(self.bn1(self.conv1(X))))
        return F.relu(Y + (X if self.conv3 is None else self.conv3(X)))


@misconception(
    "Residual",
    breaks=(BLOCK,),
    says="both convolutions share one batch normalisation",
    look="what each convolution gives has its own mean, variance, scale and shift",
)
class NormalisationShared(nn.Module):
    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides) if use_1x1conv else None
        self.bn = nn.LazyBatchNorm2d()

    def forward(self, X: Tensor) -> Tensor:
        Y = F.relu(self.bn(self.conv1(X)))
        Y = self.bn(self.conv2(Y))
        return F.relu(Y + (X if self.conv3 is None else self.conv3(X)))


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
    look="the stem's pooling has just done so, and the book treats the first stage apart",
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
    look="its windows of 3x3 halve 48 pixels only where they may begin outside of the map",
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
    look="count the layers with weights: there should be 18, the shortcuts' aside",
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
    look="count the layers with weights: there should be 18, the shortcuts' aside",
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
    look="each stage has twice the channels of the one before, so that the first number decides them all",
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

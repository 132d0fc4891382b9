"""Typical mistakes with the residual block: d2l.ai section 8.6.2."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from grader.testing import misconception

BLOCK, NETWORK = "residual", "resnet18.shapes"


@misconception(
    "Residual",
    breaks=(BLOCK,),
    says="the block's input is not added to the output of its convolutions",
    look="without the shortcut this is a plain block as in VGG",
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
    look="keep the input under a separate name until it is added",
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
    look="the shortcut is added to values that may be negative: the branch ends with its normalisation",
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
    look="two convolutions with only a normalisation between them are together linear",
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
    look="that is the idea of DenseNet in section 8.7; here the number of channels does not grow",
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
    look="X += Y changes the tensor that the caller still holds, so make the sum a new tensor",
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
    look="if channels or size change, the shortcut needs a layer of its own",
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
    says="the shortcut has its 1x1 convolution even if use_1x1conv is False",
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
    says="the second convolution has the stride, and the first one does not",
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
    look="one of them keeps the size",
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
    says="the 3x3 convolutions have no padding, so their output is smaller than the input",
    look="the two can be added only if they have the same size",
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
    look="the output of each convolution has its own mean, variance, scale and shift",
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

"""Typical mistakes with the layers of the residual block, their order and its default values: d2l.ai section 8.6.2."""

from torch import Tensor, nn
from torch.nn import functional as F

from grader.testing import misconception

BLOCK, NETWORK = "residual", "resnet18.shapes"


@misconception(
    "Residual",
    breaks=(BLOCK,),
    says="only the second of the two convolutions is normalised",
    look="a batch normalisation belongs after the first one as well, before its ReLU",
)
class FirstNormalisationMissing(nn.Module):
    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides) if use_1x1conv else None
        self.bn2 = nn.LazyBatchNorm2d()

    def forward(self, X: Tensor) -> Tensor:
        Y = self.bn2(self.conv2(F.relu(self.conv1(X))))
        return F.relu(Y + (X if self.conv3 is None else self.conv3(X)))


@misconception(
    "Residual",
    breaks=(BLOCK,),
    says="normalisation and ReLU stand before each convolution, as in a pre-activation block",
    look="the book's block begins with a convolution, and its last ReLU follows the sum",
)
class PreActivation(nn.Module):
    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides) if use_1x1conv else None
        self.bn1, self.bn2 = nn.LazyBatchNorm2d(), nn.LazyBatchNorm2d()

    def forward(self, X: Tensor) -> Tensor:
        Y: Tensor = self.conv1(F.relu(self.bn1(X)))
        Y = self.conv2(F.relu(self.bn2(Y)))
        return Y + (X if self.conv3 is None else self.conv3(X))


@misconception(
    "Residual",
    breaks=(BLOCK,),
    says="the ReLU between the convolutions comes before the batch normalisation",
    look="in the book's figure the normalisation follows the convolution, and the ReLU follows the normalisation",
)
class ReluBeforeNormalisation(nn.Module):
    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides) if use_1x1conv else None
        self.bn1, self.bn2 = nn.LazyBatchNorm2d(), nn.LazyBatchNorm2d()

    def forward(self, X: Tensor) -> Tensor:
        Y = self.bn1(F.relu(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        return F.relu(Y + (X if self.conv3 is None else self.conv3(X)))


@misconception(
    "Residual",
    breaks=(BLOCK,),
    says="the shortcut is added before the last normalisation, which then normalises the sum",
    look="in the book the shortcut is added to what the second normalisation gives",
)
class SumBeforeTheLastNormalisation(nn.Module):
    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides) if use_1x1conv else None
        self.bn1, self.bn2 = nn.LazyBatchNorm2d(), nn.LazyBatchNorm2d()

    def forward(self, X: Tensor) -> Tensor:
        Y = self.conv2(F.relu(self.bn1(self.conv1(X))))
        return F.relu(self.bn2(Y + (X if self.conv3 is None else self.conv3(X))))


@misconception(
    "Residual",
    breaks=(BLOCK, NETWORK),
    says="the block gives its shortcut alone: what its convolutions give is not used",
    look="check which variable the last line takes, and to which one the sum is written",
)
class ConvolutionsNotUsed(nn.Module):
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
        Y += X
        return F.relu(X)


@misconception(
    "Residual",
    breaks=(BLOCK, NETWORK),
    says="the shortcut is multiplied with the output of the convolutions",
    look="the block's mapping is f(x) = g(x) + x, where g is what the convolutions learn",
)
class ShortcutMultiplied(nn.Module):
    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides) if use_1x1conv else None
        self.bn1, self.bn2 = nn.LazyBatchNorm2d(), nn.LazyBatchNorm2d()

    def forward(self, X: Tensor) -> Tensor:
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        return F.relu(Y * (X if self.conv3 is None else self.conv3(X)))


@misconception(
    "Residual",
    breaks=(BLOCK, NETWORK),
    says="the 1x1 convolution is applied to the output of the other convolutions instead of to the block's input",
    look="it belongs on the shortcut: X = conv3(X)",
)
class OneByOneConvolutionOnTheBranch(nn.Module):
    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides) if use_1x1conv else None
        self.bn1, self.bn2 = nn.LazyBatchNorm2d(), nn.LazyBatchNorm2d()

    def forward(self, X: Tensor) -> Tensor:
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        return F.relu(Y + (X if self.conv3 is None else self.conv3(Y)))


@misconception(
    "Residual",
    breaks=(BLOCK,),
    says="use_1x1conv is True by default",
    look="the book's default is False, so that Residual(3) adds its input as it is",
)
class OneByOneConvolutionByDefault(nn.Module):
    def __init__(self, num_channels: int, use_1x1conv: bool = True, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides) if use_1x1conv else None
        self.bn1, self.bn2 = nn.LazyBatchNorm2d(), nn.LazyBatchNorm2d()

    def forward(self, X: Tensor) -> Tensor:
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        return F.relu(Y + (X if self.conv3 is None else self.conv3(X)))


@misconception(
    "Residual",
    breaks=(BLOCK, NETWORK),
    says="strides is 2 by default",
    look="the book's default is 1, so that Residual(3) keeps the height and the width",
)
class HalvesByDefault(nn.Module):
    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 2) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides) if use_1x1conv else None
        self.bn1, self.bn2 = nn.LazyBatchNorm2d(), nn.LazyBatchNorm2d()

    def forward(self, X: Tensor) -> Tensor:
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        return F.relu(Y + (X if self.conv3 is None else self.conv3(X)))


@misconception(
    "Residual",
    breaks=(BLOCK, NETWORK),
    says="the shortcut's convolution has 3x3 kernels",
    look="it only has to change the number of channels and the size, for which 1x1 kernels suffice",
)
class LargeKernelsOnTheShortcut(nn.Module):
    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides) if use_1x1conv else None
        self.bn1, self.bn2 = nn.LazyBatchNorm2d(), nn.LazyBatchNorm2d()

    def forward(self, X: Tensor) -> Tensor:
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        return F.relu(Y + (X if self.conv3 is None else self.conv3(X)))


@misconception(
    "Residual",
    breaks=(BLOCK, NETWORK),
    says="the first convolution is applied twice, and the second one never",
    look="check the names of the layers in forward",
)
class FirstConvolutionTwice(nn.Module):
    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides) if use_1x1conv else None
        self.bn1, self.bn2 = nn.LazyBatchNorm2d(), nn.LazyBatchNorm2d()

    def forward(self, X: Tensor) -> Tensor:
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv1(Y))
        return F.relu(Y + (X if self.conv3 is None else self.conv3(X)))


@misconception(
    "Residual",
    breaks=(BLOCK, NETWORK),
    says="super().__init__() has not been called when the first layer is assigned",
    look="it is the first line of __init__",
)
class ResidualBeforeSuper(nn.Module):
    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None:
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        super().__init__()
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1) if use_1x1conv else None

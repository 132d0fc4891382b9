"""Typical mistakes with the convolutional layer: d2l.ai section 7.2.2."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from grader.testing import misconception
from reference import corr2d


@misconception(
    "Conv2D",
    breaks=("conv2d_layer",),
    says="the layer assigns a parameter before it calls super().__init__(), or never calls it",
    look="nn.Module has to be set up first: the call is the first line of __init__",
)
class SuperInitForgotten(nn.Module):
    def __init__(self, kernel_size: tuple[int, int]) -> None:
        self.weight = nn.Parameter(torch.rand(kernel_size))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, X: Tensor) -> Tensor:
        return corr2d(X, self.weight) + self.bias


@misconception(
    "Conv2D",
    breaks=("conv2d_layer",),
    says="the layer is a plain class",
    look="a layer inherits from nn.Module, which finds its parameters",
)
class PlainClass:
    def __init__(self, kernel_size: tuple[int, int]) -> None:
        self.weight = nn.Parameter(torch.rand(kernel_size))
        self.bias = nn.Parameter(torch.zeros(1))

    def __call__(self, X: Tensor) -> Tensor:
        return corr2d(X, self.weight) + self.bias


@misconception(
    "Conv2D",
    breaks=("conv2d_layer",),
    says="the layer has no bias",
    look="besides its weight it learns one number that is added to every entry of the output",
)
class BiasMissing(nn.Module):
    def __init__(self, kernel_size: tuple[int, int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(kernel_size))

    def forward(self, X: Tensor) -> Tensor:
        return corr2d(X, self.weight)


@misconception(
    "Conv2D",
    breaks=("conv2d_layer",),
    says="the layer's bias is a plain tensor",
    look="only an nn.Parameter is learned",
    same_as=("bias_missing", "bias_frozen"),
)
class BiasNoParameter(nn.Module):
    def __init__(self, kernel_size: tuple[int, int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(kernel_size))
        self.bias = torch.zeros(1)

    def forward(self, X: Tensor) -> Tensor:
        return corr2d(X, self.weight) + self.bias


@misconception(
    "Conv2D",
    breaks=("conv2d_layer",),
    says="the layer's bias is frozen",
    look="requires_grad=False keeps a parameter from being learned",
    same_as=("bias_missing",),
)
class BiasFrozen(nn.Module):
    def __init__(self, kernel_size: tuple[int, int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(kernel_size))
        self.bias = nn.Parameter(torch.zeros(1), requires_grad=False)

    def forward(self, X: Tensor) -> Tensor:
        return corr2d(X, self.weight) + self.bias


@misconception(
    "Conv2D",
    breaks=("conv2d_layer",),
    says="the layer has a bias for each entry of its kernel",
    look="one number is added to the whole output, so the bias has one element",
)
class BiasOfTheKernelsShape(nn.Module):
    def __init__(self, kernel_size: tuple[int, int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(kernel_size))
        self.bias = nn.Parameter(torch.zeros(kernel_size))

    def forward(self, X: Tensor) -> Tensor:
        return corr2d(X, self.weight + self.bias)


@misconception(
    "Conv2D",
    breaks=("conv2d_layer",),
    says="the layer never uses its bias",
    look="forward has to add it to the result of corr2d",
)
class BiasNeverAdded(nn.Module):
    def __init__(self, kernel_size: tuple[int, int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(kernel_size))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, X: Tensor) -> Tensor:
        return corr2d(X, self.weight)


@misconception(
    "Conv2D",
    breaks=("conv2d_layer",),
    says="the layer subtracts its bias",
    look="the book's layer adds it",
)
class BiasSubtracted(nn.Module):
    def __init__(self, kernel_size: tuple[int, int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(kernel_size))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, X: Tensor) -> Tensor:
        return corr2d(X, self.weight) - self.bias


@misconception(
    "Conv2D",
    breaks=("conv2d_layer",),
    says="the layer adds its bias to the image",
    look="it is added to the output, after the cross-correlation",
)
class BiasAddedToTheImage(nn.Module):
    def __init__(self, kernel_size: tuple[int, int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(kernel_size))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, X: Tensor) -> Tensor:
        return corr2d(X + self.bias, self.weight)


@misconception(
    "Conv2D",
    breaks=("conv2d_layer",),
    says="the layer's weight is a plain tensor",
    look="only an nn.Parameter is learned",
)
class WeightNoParameter(nn.Module):
    def __init__(self, kernel_size: tuple[int, int]) -> None:
        super().__init__()
        self.weight = torch.rand(kernel_size)
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, X: Tensor) -> Tensor:
        return corr2d(X, self.weight) + self.bias


@misconception(
    "Conv2D",
    breaks=("conv2d_layer",),
    says="the layer's weight has four dimensions",
    look="this layer has no channels: its weight has the shape kernel_size",
)
class WeightOfFourDimensions(nn.Module):
    def __init__(self, kernel_size: tuple[int, int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(1, 1, *kernel_size))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, X: Tensor) -> Tensor:
        return F.conv2d(X[None, None], self.weight, self.bias)[0, 0]


@misconception(
    "Conv2D",
    breaks=("conv2d_layer",),
    says="the layer's weight has the right shape for a square kernel only",
    look="kernel_size is a pair, the height and the width, in this order",
)
class WeightAlwaysSquare(nn.Module):
    def __init__(self, kernel_size: tuple[int, int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(kernel_size[0], kernel_size[0]))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, X: Tensor) -> Tensor:
        return corr2d(X, self.weight) + self.bias


@misconception(
    "Conv2D",
    breaks=("conv2d_layer",),
    says="the layer's forward cuts its weight off from the gradients",
    look="use the parameter itself, not its .data or .detach()",
)
class WeightDetached(nn.Module):
    def __init__(self, kernel_size: tuple[int, int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(kernel_size))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, X: Tensor) -> Tensor:
        return corr2d(X, self.weight.data) + self.bias


@misconception(
    "Conv2D",
    breaks=("conv2d_layer",),
    says="the layer's forward returns nothing",
    look="a function without a return statement gives None: return the output",
)
class ForwardWithoutReturn(nn.Module):
    def __init__(self, kernel_size: tuple[int, int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(kernel_size))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, X: Tensor) -> None:
        self.output = corr2d(X, self.weight) + self.bias

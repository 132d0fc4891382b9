"""Typical mistakes with LeNet: d2l.ai section 7.6."""

from torch import Tensor, nn

from grader.testing import misconception

SHAPES, PARAMETERS = "lenet.shapes", "lenet.params"


@misconception(
    "LeNet",
    breaks=(SHAPES, PARAMETERS),
    says="the first convolution has no padding, so that its maps shrink to 24x24",
    look="the book's first convolution keeps the 28x28 of the image",
)
class FirstConvolutionWithoutPadding(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(6, kernel_size=5), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.LazyConv2d(16, kernel_size=5), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.Flatten(), nn.LazyLinear(120), nn.Sigmoid(), nn.LazyLinear(84), nn.Sigmoid()),
            nn.LazyLinear(num_classes),
        )


@misconception(
    "LeNet",
    breaks=(SHAPES, PARAMETERS),
    says="both convolutions are padded",
    look="in the book only the first one is, and the second one makes its maps smaller",
)
class BothConvolutionsPadded(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(6, kernel_size=5, padding=2), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.LazyConv2d(16, kernel_size=5, padding=2), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.Flatten(), nn.LazyLinear(120), nn.Sigmoid(), nn.LazyLinear(84), nn.Sigmoid()),
            nn.LazyLinear(num_classes),
        )


@misconception(
    "LeNet",
    breaks=(SHAPES, PARAMETERS),
    says="no pooling follows the first convolution",
    look="the book pools after each of the two convolutions",
)
class FirstPoolingMissing(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(6, kernel_size=5, padding=2), nn.Sigmoid()),
            *(nn.LazyConv2d(16, kernel_size=5), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.Flatten(), nn.LazyLinear(120), nn.Sigmoid(), nn.LazyLinear(84), nn.Sigmoid()),
            nn.LazyLinear(num_classes),
        )


@misconception(
    "LeNet",
    breaks=(SHAPES, PARAMETERS),
    says="no pooling follows the second convolution",
    look="the maps that are flattened should have shrunk once more",
)
class SecondPoolingMissing(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(6, kernel_size=5, padding=2), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.LazyConv2d(16, kernel_size=5), nn.Sigmoid()),
            *(nn.Flatten(), nn.LazyLinear(120), nn.Sigmoid(), nn.LazyLinear(84), nn.Sigmoid()),
            nn.LazyLinear(num_classes),
        )


@misconception(
    "LeNet",
    breaks=(SHAPES, PARAMETERS),
    says="the pooling windows move by one pixel only",
    look="the height and the width are halved only by windows that do not overlap",
)
class PoolingWithStrideOne(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(6, kernel_size=5, padding=2), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=1)),
            *(nn.LazyConv2d(16, kernel_size=5), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=1)),
            *(nn.Flatten(), nn.LazyLinear(120), nn.Sigmoid(), nn.LazyLinear(84), nn.Sigmoid()),
            nn.LazyLinear(num_classes),
        )


@misconception(
    "LeNet",
    breaks=(SHAPES,),
    says="convolutions with a stride of 2 replace the pooling layers",
    look="LeNet's convolutions move by one pixel, and layers of their own do the halving",
)
class StridedConvolutionsForPooling(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(6, kernel_size=5, padding=2, stride=2), nn.Sigmoid()),
            *(nn.LazyConv2d(16, kernel_size=5, stride=2), nn.Sigmoid()),
            *(nn.Flatten(), nn.LazyLinear(120), nn.Sigmoid(), nn.LazyLinear(84), nn.Sigmoid()),
            nn.LazyLinear(num_classes),
        )


@misconception(
    "LeNet",
    breaks=(SHAPES, PARAMETERS),
    says="the kernels are 3x3",
    look="compare the kernel_size of both convolutions with the book's, which is larger",
)
class SmallKernels(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(6, kernel_size=3, padding=1), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.LazyConv2d(16, kernel_size=3), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.Flatten(), nn.LazyLinear(120), nn.Sigmoid(), nn.LazyLinear(84), nn.Sigmoid()),
            nn.LazyLinear(num_classes),
        )


@misconception(
    "LeNet",
    breaks=(SHAPES, PARAMETERS),
    says="the convolutions give 8 and 20 channels",
    look="the figure of LeNet in the book has other numbers of maps",
)
class OtherChannels(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(8, kernel_size=5, padding=2), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.LazyConv2d(20, kernel_size=5), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.Flatten(), nn.LazyLinear(120), nn.Sigmoid(), nn.LazyLinear(84), nn.Sigmoid()),
            nn.LazyLinear(num_classes),
        )


@misconception(
    "LeNet",
    breaks=(SHAPES, PARAMETERS),
    says="the hidden layers have 128 and 64 units",
    look="powers of two are common, but the book's LeNet has other widths",
)
class OtherWidths(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(6, kernel_size=5, padding=2), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.LazyConv2d(16, kernel_size=5), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.Flatten(), nn.LazyLinear(128), nn.Sigmoid(), nn.LazyLinear(64), nn.Sigmoid()),
            nn.LazyLinear(num_classes),
        )


@misconception(
    "LeNet",
    breaks=(SHAPES, PARAMETERS),
    says="the hidden layer of 84 units is left out",
    look="three fully connected layers follow the convolutions, including the output layer",
)
class OneLinearLayerTooFew(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(6, kernel_size=5, padding=2), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.LazyConv2d(16, kernel_size=5), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.Flatten(), nn.LazyLinear(120), nn.Sigmoid()),
            nn.LazyLinear(num_classes),
        )


@misconception(
    "LeNet",
    breaks=(SHAPES, PARAMETERS),
    says="a fourth fully connected layer follows the output layer",
    look="the book's network ends with one number for each class",
)
class OneLinearLayerTooMany(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(6, kernel_size=5, padding=2), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.LazyConv2d(16, kernel_size=5), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.Flatten(), nn.LazyLinear(120), nn.Sigmoid(), nn.LazyLinear(84), nn.Sigmoid()),
            *(nn.LazyLinear(num_classes), nn.Sigmoid(), nn.LazyLinear(num_classes)),
        )


@misconception(
    "LeNet",
    breaks=(SHAPES, PARAMETERS),
    says="there are 100 classes",
    look="Fashion-MNIST, on which the section trains LeNet, has fewer",
)
class HundredClasses(nn.Sequential):
    def __init__(self, num_classes: int = 100) -> None:
        super().__init__(
            *(nn.LazyConv2d(6, kernel_size=5, padding=2), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.LazyConv2d(16, kernel_size=5), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.Flatten(), nn.LazyLinear(120), nn.Sigmoid(), nn.LazyLinear(84), nn.Sigmoid()),
            nn.LazyLinear(num_classes),
        )


@misconception(
    "LeNet",
    breaks=(SHAPES,),
    says="there is no activation function anywhere",
    look="without one, all the layers together are a single linear map",
)
class ActivationsMissing(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(6, kernel_size=5, padding=2), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.LazyConv2d(16, kernel_size=5), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.Flatten(), nn.LazyLinear(120), nn.LazyLinear(84)),
            nn.LazyLinear(num_classes),
        )


@misconception(
    "LeNet",
    breaks=(SHAPES,),
    says="no activation function stands between the fully connected layers",
    look="several linear layers in a row are only one linear map: each but the last needs a sigmoid or ReLU",
)
class ActivationsMissingBetweenLinearLayers(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(6, kernel_size=5, padding=2), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.LazyConv2d(16, kernel_size=5), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.Flatten(), nn.LazyLinear(120), nn.LazyLinear(84)),
            nn.LazyLinear(num_classes),
        )


@misconception(
    "LeNet",
    breaks=(SHAPES,),
    says="no activation function follows the convolutions",
    look="a convolution is a linear layer too and needs one, as the fully connected layers do",
)
class ActivationsMissingAfterConvolutions(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(6, kernel_size=5, padding=2), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.LazyConv2d(16, kernel_size=5), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.Flatten(), nn.LazyLinear(120), nn.Sigmoid(), nn.LazyLinear(84), nn.Sigmoid()),
            nn.LazyLinear(num_classes),
        )


@misconception(
    "LeNet",
    breaks=(SHAPES,),
    says="the activation function is tanh",
    look="the section's LeNet has sigmoids, and ReLU, which its exercises try, counts as well",
)
class TanhForSigmoid(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(6, kernel_size=5, padding=2), nn.Tanh(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.LazyConv2d(16, kernel_size=5), nn.Tanh(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.Flatten(), nn.LazyLinear(120), nn.Tanh(), nn.LazyLinear(84), nn.Tanh()),
            nn.LazyLinear(num_classes),
        )


@misconception(
    "LeNet",
    breaks=(PARAMETERS,),
    says="the convolutions have no biases",
    look="the book leaves nn.Conv2d's argument bias as it is, and each map gets a bias of its own",
)
class ConvolutionsWithoutBias(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            nn.LazyConv2d(6, kernel_size=5, padding=2, bias=False),
            *(nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            nn.LazyConv2d(16, kernel_size=5, bias=False),
            *(nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.Flatten(), nn.LazyLinear(120), nn.Sigmoid(), nn.LazyLinear(84), nn.Sigmoid()),
            nn.LazyLinear(num_classes),
        )


@misconception(
    "LeNet",
    breaks=(PARAMETERS,),
    says="the output layer has no bias",
    look="the book leaves nn.Linear's argument bias as it is in all three layers",
)
class OutputLayerWithoutBias(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(6, kernel_size=5, padding=2), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.LazyConv2d(16, kernel_size=5), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.Flatten(), nn.LazyLinear(120), nn.Sigmoid(), nn.LazyLinear(84), nn.Sigmoid()),
            nn.LazyLinear(num_classes, bias=False),
        )


@misconception(
    "LeNet",
    breaks=(PARAMETERS,),
    says="the convolutions are followed by batch normalisation, which has parameters too",
    look="it is introduced only in chapter 8, and this item is about the LeNet of section 7.6",
)
class BatchNormalisationAdded(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(6, kernel_size=5, padding=2), nn.LazyBatchNorm2d()),
            *(nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.LazyConv2d(16, kernel_size=5), nn.LazyBatchNorm2d()),
            *(nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.Flatten(), nn.LazyLinear(120), nn.Sigmoid(), nn.LazyLinear(84), nn.Sigmoid()),
            nn.LazyLinear(num_classes),
        )


@misconception(
    "LeNet",
    breaks=(SHAPES,),
    says="each pooling stands before its activation function",
    look="the book pools what the sigmoid gives: a mean of sigmoids is not the sigmoid of a mean",
)
class PoolingBeforeActivation(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(6, kernel_size=5, padding=2), nn.AvgPool2d(kernel_size=2, stride=2), nn.Sigmoid()),
            *(nn.LazyConv2d(16, kernel_size=5), nn.AvgPool2d(kernel_size=2, stride=2), nn.Sigmoid()),
            *(nn.Flatten(), nn.LazyLinear(120), nn.Sigmoid(), nn.LazyLinear(84), nn.Sigmoid()),
            nn.LazyLinear(num_classes),
        )


@misconception(
    "LeNet",
    breaks=(SHAPES, PARAMETERS),
    says="the maps are not flattened before the first fully connected layer",
    look="a linear layer works on the last dimension alone, and here that is the width of a map",
)
class FlattenMissing(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            *(nn.LazyConv2d(6, kernel_size=5, padding=2), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.LazyConv2d(16, kernel_size=5), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.Linear(16 * 5 * 5, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid()),
            nn.Linear(84, num_classes),
        )


@misconception(
    "LeNet",
    breaks=(SHAPES, PARAMETERS),
    says="the model does not register its layers, so no optimiser would train them",
    look="layers in a plain Python list are not seen: put them into nn.Sequential or nn.ModuleList",
)
class LayersInPlainList(nn.Module):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.layers = [
            *(nn.Conv2d(1, 6, kernel_size=5, padding=2), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.Conv2d(6, 16, kernel_size=5), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.Flatten(), nn.Linear(16 * 5 * 5, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid()),
            nn.Linear(84, num_classes),
        ]

    def forward(self, X: Tensor) -> Tensor:
        for layer in self.layers:
            X = layer(X)
        return X


@misconception(
    "LeNet",
    breaks=(SHAPES, PARAMETERS),
    says="nn.Sequential gets a list where it expects a layer",
    look="write a star before the list, nn.Sequential(*layers), so that it gets the layers themselves",
)
class LayersNotUnpacked(nn.Sequential):
    def __init__(self, num_classes: int = 10) -> None:
        layers = [nn.LazyConv2d(6, kernel_size=5, padding=2), nn.Sigmoid(), nn.LazyLinear(num_classes)]
        super().__init__(layers)  # type: ignore[call-overload]


@misconception(
    "LeNet",
    breaks=(SHAPES, PARAMETERS),
    says="super().__init__() has not been called when the first layer is assigned",
    look="it is the first line of __init__",
)
class LayerBeforeSuper(nn.Module):
    def __init__(self, num_classes: int = 10) -> None:
        self.net = nn.Sequential(nn.LazyConv2d(6, kernel_size=5, padding=2), nn.LazyLinear(num_classes))
        super().__init__()

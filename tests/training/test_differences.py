"""The differences between two models are named in the order of the forward pass."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import reference
from grader.models.export import NotExportable, export_graph
from grader.training.departures import make_graph
from grader.training.differences import find_differences, summarise
from grader.training.graph_reader import Forward, follow, read_graph, read_until_failure

ALIKE = (("sigmoid", "relu"), ("average", "maximum"))


def forward(module: nn.Module, image: tuple[int, ...]) -> Forward:
    try:
        return follow(read_graph(export_graph(module, image)).graph)
    except NotExportable as error:
        read = read_until_failure(error.to_plain())
        assert read is not None
        return read


def lenet(
    c1: int = 6,
    c2: int = 16,
    kernel: int = 5,
    padding: int = 2,
    activation: type[nn.Module] = nn.Sigmoid,
    pool: Callable[[int], nn.Module] = nn.AvgPool2d,
    hidden: int = 120,
    between: tuple[nn.Module, ...] = (nn.Flatten(),),
) -> nn.Sequential:
    return nn.Sequential(
        *(nn.LazyConv2d(c1, 5, padding=padding), activation(), pool(2)),
        *(nn.LazyConv2d(c2, kernel), activation(), pool(2), *between),
        *(nn.LazyLinear(hidden), activation(), nn.LazyLinear(84), activation(), nn.LazyLinear(10)),
    )


def without(net: nn.Sequential, *numbers: int) -> nn.Sequential:
    return nn.Sequential(*(layer for number, layer in enumerate(net) if number not in numbers))


LENETS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "the book's": (lenet, ""),
    "another activation and pooling": (partial(lenet, activation=nn.ReLU, pool=nn.MaxPool2d), ""),
    "dropout": (partial(lenet, between=(nn.Dropout(), nn.Flatten())), ""),
    "maximum pooling before ReLU, which computes the same": (
        lambda: nn.Sequential(
            *(nn.LazyConv2d(6, 5, padding=2), nn.MaxPool2d(2), nn.ReLU(), nn.LazyConv2d(16, 5), nn.MaxPool2d(2)),
            *(nn.ReLU(), *list(lenet(activation=nn.ReLU))[6:]),
        ),
        "",
    ),
    "channels": (partial(lenet, c1=8), "the first convolution has 8 output channels (the book's: 6)"),
    "kernel and padding": (
        lambda: nn.Sequential(nn.LazyConv2d(6, 3, padding=1), *list(lenet())[1:]),
        "the first convolution has kernels of 3x3 (the book's: 5x5) and padding 1 (the book's: 2)",
    ),
    "stride of a pooling": (
        lambda: nn.Sequential(*list(lenet())[:2], nn.AvgPool2d(2, 1), *list(lenet())[3:]),
        "the pooling after the first convolution has stride 1 (the book's: 2)",
    ),
    "width": (partial(lenet, hidden=100), "the first fully connected layer has 100 units (the book's: 120)"),
    "activation missing": (
        lambda: without(lenet(), 4),
        "no activation function stands after the second convolution",
    ),
    "activations missing": (
        lambda: without(lenet(), 1, 4),
        "no activation function stands after the first convolution (and 1 more like it)",
    ),
    "pooling missing": (lambda: without(lenet(), 2), "no pooling stands after the first convolution"),
    "pooling first": (
        lambda: nn.Sequential(lenet()[0], nn.AvgPool2d(2), nn.Sigmoid(), *list(lenet())[3:]),
        "after the first convolution, average pooling comes before sigmoid; "
        "the book's order is sigmoid, average pooling",
    ),
    "tanh": (
        lambda: nn.Sequential(lenet()[0], nn.Tanh(), *list(lenet())[2:]),
        "tanh stands after the first convolution (the book's: sigmoid)",
    ),
    "normalisation": (
        lambda: nn.Sequential(lenet()[0], nn.LazyBatchNorm2d(), *list(lenet())[1:]),
        "a normalisation too many stands after the first convolution",
    ),
    "layer missing": (lambda: without(lenet(), 9, 10), "the second fully connected layer is missing"),
    "layer too many": (
        lambda: nn.Sequential(*list(lenet()), nn.Sigmoid(), nn.LazyLinear(10)),
        "a layer too many after the output layer: a fully connected layer of 10 units",
    ),
    "no bias": (
        lambda: nn.Sequential(nn.LazyConv2d(6, 5, padding=2, bias=False), *list(lenet())[1:]),
        "the first convolution has no bias",
    ),
    "flatten size": (
        lambda: nn.Sequential(*list(lenet())[:7], nn.Linear(256, 120), *list(lenet())[8:]),
        "the first fully connected layer takes 256 numbers, its input has 400 (16x5x5)",
    ),
    "channels exchanged": (
        lambda: nn.Sequential(*list(lenet())[:3], nn.Conv2d(16, 6, 5), *list(lenet())[4:]),
        "the second convolution has its channels exchanged: it takes 16 and gives 6",
    ),
    "not flattened": (
        lambda: nn.Sequential(*list(lenet())[:6], nn.Linear(400, 120), *list(lenet())[8:]),
        "the maps are not flattened before the first fully connected layer: it takes 400 numbers, its input is 16x5x5",
    ),
    "flattened too early": (
        lambda: nn.Sequential(*list(lenet())[:5], nn.Flatten(), *list(lenet())[5:]),
        "the maps are already flattened before the pooling after the second convolution",
    ),
}


@pytest.mark.parametrize(("make", "said"), LENETS.values(), ids=LENETS)
def test_the_first_difference_is_named(make: Callable[[], nn.Module], said: str) -> None:
    image = (1, 28, 28)
    book = follow(make_graph(reference.LeNet, image))
    assert summarise(find_differences(forward(make(), image), book, alike=ALIKE)) == said


class Block(nn.Module):
    """The book's block, whose forward pass is a function of the block."""

    def __init__(self, run: Callable[[Block, Tensor], Tensor], strides: int = 2, own: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(6, 3, padding=1, stride=2)
        self.conv2 = nn.LazyConv2d(6, 3, padding=1)
        self.conv3 = nn.LazyConv2d(6, own, stride=strides, padding=own // 2)
        self.bn1, self.bn2 = nn.LazyBatchNorm2d(), nn.LazyBatchNorm2d()
        self.run = run

    def forward(self, X: Tensor) -> Tensor:
        return self.run(self, X)


def right(block: Block, X: Tensor) -> Tensor:
    Y: Tensor = block.bn2(block.conv2(F.relu(block.bn1(block.conv1(X)))))
    return F.relu(Y + block.conv3(X))


def before_the_sum(block: Block, X: Tensor) -> Tensor:
    Y = F.relu(block.bn2(block.conv2(F.relu(block.bn1(block.conv1(X))))))
    shortcut: Tensor = block.conv3(X)
    return Y + shortcut


def from_the_middle(block: Block, X: Tensor) -> Tensor:
    X = F.relu(block.bn1(block.conv1(X)))
    return F.relu(block.bn2(block.conv2(X)) + X)


BLOCKS: dict[str, tuple[nn.Module, str]] = {
    "the book's": (Block(right), ""),
    "no first normalisation": (
        Block(lambda b, X: F.relu(b.bn2(b.conv2(F.relu(b.conv1(X)))) + b.conv3(X))),
        "no normalisation stands after the first convolution",
    ),
    "no second normalisation": (
        Block(lambda b, X: F.relu(b.conv2(F.relu(b.bn1(b.conv1(X)))) + b.conv3(X))),
        "no normalisation stands after the second convolution",
    ),
    "one normalisation twice": (
        Block(lambda b, X: F.relu(b.bn1(b.conv2(F.relu(b.bn1(b.conv1(X))))) + b.conv3(X))),
        "the normalisation after the second convolution is the normalisation after the first convolution again: "
        "one layer stands in two places",
    ),
    "ReLU before the sum": (
        Block(before_the_sum),
        "the layers stand in another order: 3x3 convolution, normalisation, ReLU, 3x3 convolution, normalisation, ReLU,"
        " sum (the book's: 3x3 convolution, normalisation, ReLU, 3x3 convolution, normalisation, sum, ReLU)",
    ),
    "the shortcut without its stride": (
        Block(right, strides=1),
        "the 1x1 convolution of the shortcut has stride 1 (the book's: 2); then the branch gives 6x3x3 and the "
        "shortcut 6x6x6, which cannot be added",
    ),
    "3x3 kernels on the shortcut": (
        Block(right, own=3),
        "the 1x1 convolution of the shortcut has kernels of 3x3 (the book's: 1x1) and padding 1 (the book's: 0)",
    ),
    "the 1x1 convolution on the branch": (
        Block(lambda b, X: F.relu(b.conv3(b.bn2(b.conv2(F.relu(b.bn1(b.conv1(X)))))) + X)),
        "the 1x1 convolution of the shortcut is applied to the branch, not to the shortcut; then the branch gives "
        "6x2x2 and the shortcut 3x6x6, which cannot be added",
    ),
    "no 1x1 convolution": (
        Block(lambda b, X: F.relu(b.bn2(b.conv2(F.relu(b.bn1(b.conv1(X))))) + X)),
        "the 1x1 convolution of the shortcut is missing; then the branch gives 6x3x3 and the shortcut 3x6x6, which "
        "cannot be added",
    ),
    "a product": (
        Block(lambda b, X: F.relu(b.bn2(b.conv2(F.relu(b.bn1(b.conv1(X))))) * b.conv3(X))),
        "the shortcut is multiplied with the branch after the 1x1 convolution of the shortcut, not added",
    ),
}


@pytest.mark.parametrize(("block", "said"), BLOCKS.values(), ids=BLOCKS)
def test_the_first_difference_of_a_residual_block_is_named(block: nn.Module, said: str) -> None:
    image = (3, 6, 6)
    book = follow(make_graph(partial(reference.Residual, 6, True, 2), image))
    assert summarise(find_differences(forward(block, image), book)) == said


def test_a_shortcut_that_starts_too_late_goes_around_fewer_layers() -> None:
    image = (6, 6, 6)
    book = follow(make_graph(partial(reference.Residual, 6), image))
    texts = [difference.text for difference in find_differences(forward(Block(from_the_middle), image), book)]
    assert "the shortcut goes around 1 layer (the book's: 2)" in texts


def test_what_the_output_does_not_depend_on_is_named_as_the_student_names_it() -> None:
    image = (3, 6, 6)
    book = follow(make_graph(partial(reference.Residual, 6, True, 2), image))
    block = Block(lambda b, X: F.relu(b.conv3(X)))
    unused = ["conv1.weight", "conv1.bias", "bn1.weight"]
    (difference,) = find_differences(forward(block, image), book, unused=unused)
    assert difference.text == "the output does not depend on conv1, bn1: what they give is not used"
    assert "conv1" not in "".join(difference.key)


def test_a_model_is_compared_up_to_a_result_that_is_too_large() -> None:
    image = (1, 224, 224)
    arch = ((1, 64), (1, 128), (2, 256), (2, 512), (2, 512))
    with torch.device("meta"):
        blocks = [reference.vgg_block(*entry) for entry in arch]
        hidden = [layer for _ in range(2) for layer in (nn.LazyLinear(4096), nn.ReLU(), nn.Dropout())]
        net = nn.Sequential(*blocks, *hidden, nn.LazyLinear(10))
    found = read_until_failure(export_graph(net, image))
    assert found is not None
    assert found.is_open
    said = summarise(find_differences(found, follow(make_graph(partial(reference.VGG, arch), image))))
    assert said == "the maps are not flattened before the first fully connected layer, whose input is 512x7x7"


def test_names_of_layers_may_be_given() -> None:
    image = (1, 28, 28)
    book = follow(make_graph(reference.LeNet, image))
    names = ("C1", "C3", "F5", "F6", "the output")
    found = find_differences(forward(lenet(c2=20), image), book, names, ALIKE)
    assert summarise(found) == "C3 has 20 output channels (the book's: 16)"
    assert [(difference.layer, difference.changes_parameters) for difference in found] == [("C3", True)]

"""LeNet: d2l.ai section 7.6."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

import reference
from grader.testing import (
    Argument,
    Book,
    Case,
    Draw,
    Layer,
    Mismatch,
    Model,
    Remote,
    Student,
    Training,
    assert_layers,
    assert_like_book,
    assert_parameters,
    assert_registered,
    assert_shape,
    given,
    item,
    learn,
    learning_rate,
    number_of_classes,
    remark_on,
    run,
)

ARGUMENTS = (
    learning_rate(0.1),
    number_of_classes(10),
    Argument(1, ("in_channels", "input_channels", "channels"), "required"),
)
LAYERS = (
    Layer("convolution", (6, 28, 28), name="the first convolution"),
    Layer("pooling", (6, 14, 14), name="the first pooling"),
    Layer("convolution", (16, 10, 10), name="the second convolution"),
    Layer("pooling", (16, 5, 5), name="the second pooling"),
    Layer("linear", (120,), name="the first fully connected layer"),
    Layer("linear", (84,), name="the second fully connected layer"),
    Layer("linear", (10,), name="the output layer"),
)
IMAGE = (1, 28, 28)


def with_other_layers(activation: type[nn.Module], pooling: type[nn.Module]) -> nn.Module:
    """Return the reference's LeNet with another activation and pooling, which are right too (7.6, exercise 1)."""
    model = reference.LeNet()
    for layers in (model.features, model.classifier):
        for number, layer in enumerate(layers):
            if isinstance(layer, nn.Sigmoid):
                layers[number] = activation()
            elif isinstance(layer, nn.AvgPool2d):
                layers[number] = pooling(kernel_size=2, stride=2)
    return model


NAMES = tuple(layer.name for layer in LAYERS if layer.kind != "pooling")
MAKES = [
    lambda activation=activation, pooling=pooling: with_other_layers(activation, pooling)
    for activation in (nn.Sigmoid, nn.ReLU)
    for pooling in (nn.AvgPool2d, nn.MaxPool2d)
]
BOOK = Book(MAKES, NAMES, alike=(("sigmoid", "relu"), ("average", "maximum")))


def lenet(student: Student, draw: Draw) -> AbstractContextManager[Model]:
    return run(student.LeNet, ARGUMENTS, "LeNet()", IMAGE, draw, BOOK)


@item("lenet.shapes", ARGUMENTS)
def test_lenet_has_the_shapes_of_the_book(student: Student, draw: Draw, remark: Callable[[str], None]) -> None:
    with lenet(student, draw) as model:
        assert_layers(model.layers, LAYERS, activations=("sigmoid", "relu"))
        assert_registered(model, LAYERS)
        assert_like_book(model, lambda difference: difference.aspect == "order")
        remark_on(remark, model, MAKES)


@item("lenet.params", ARGUMENTS)
def test_lenet_has_the_parameters_of_the_book(student: Student, draw: Draw) -> None:
    with lenet(student, draw) as model:
        assert_parameters(model, 61_706)


@item("lenet.training", ARGUMENTS)
def test_lenet_learns(student: Student, training: Training) -> None:
    learn(training, student.LeNet, [ARGUMENTS], "LeNet()", IMAGE, MAKES, convolutions=2)


def layer_and_bound(draw: Draw) -> Iterator[Case]:
    """Generate layers and their Xavier-uniform bound, the square root of 6 / (inputs + outputs) (5.4.2.2).

    Their sizes are drawn: what a layer's parameters are is the word of the student's process, which must not know it.
    """
    for inputs, outputs in ((draw.size(30, 50), draw.size(25, 40)), (draw.size(11, 19), draw.size(50, 70))):
        bound = (6 / (inputs + outputs)) ** 0.5
        yield Case(f"nn.Linear({inputs}, {outputs})", kind="Linear", args=(inputs, outputs), bound=bound)
    for inputs, outputs, size in ((draw.size(2, 4), draw.size(7, 12), 5), (draw.size(14, 18), draw.size(4, 7), 3)):
        bound = (6 / ((inputs + outputs) * size**2)) ** 0.5
        yield Case(f"nn.Conv2d({inputs}, {outputs}, {size})", kind="Conv2d", args=(inputs, outputs, size), bound=bound)


@item("init_cnn")
@given(layer_and_bound)
def test_init_cnn_draws_weights_anew_within_their_xavier_bounds(student: Student, case: Case) -> None:
    layer = student.layer(case.kind, *case.args)
    weight_of(layer, case.description)
    before = filled(layer, 7.0)
    applied(student, layer, case.description, before)
    weight = weight_of(layer, case.description)
    assert_shape(weight, before["weight"].shape)
    if torch.equal(weight, before["weight"].double()):
        raise Mismatch("the layer's weight is not drawn anew")
    if bool((weight == weight.flatten()[0]).all()):
        raise Mismatch(f"all weights of the layer are the same number, {float(weight.flatten()[0]):.3g}")
    largest = float(weight.abs().max())
    if not largest <= case.bound * (1 + 1e-6):
        raise Mismatch(f"weights lie within ±{largest:.3g}, Xavier-uniform ones within ±{case.bound:.3g}")
    # Among hundreds of uniform numbers, some come close to the bound and half lie in the inner half.
    inner = float((weight.abs() < case.bound / 2).double().mean())
    if largest < 0.9 * case.bound or not 0.35 < inner < 0.65:
        raise Mismatch(f"the weights are not spread evenly up to ±{case.bound:.3g}; the largest is {largest:.3g}")


@item("init_cnn")
def test_init_cnn_leaves_other_layers_alone(student: Student) -> None:
    for kind, size in (("BatchNorm2d", 8), ("LayerNorm", 8), ("PReLU", 1)):
        layer = student.layer(kind, size)
        before = filled(layer, 7.0)
        student.init_cnn(layer)
        after = layer.parameters()
        if after.keys() != before.keys():
            raise Mismatch(f"nn.{kind} has other parameters after init_cnn: {', '.join(after) or 'none'}")
        for name, value in after.items():
            if not torch.equal(value, before[name]):
                raise Mismatch(f"changes the {name} of nn.{kind}; only nn.Linear and nn.Conv2d are drawn anew")


def weight_of(layer: Remote, called: str) -> Tensor:
    """Return a layer's weight in double precision. A layer of the student's own may have none of that name."""
    parameters = layer.parameters()
    weight = parameters.get("weight")
    if weight is None or not weight.is_floating_point() or weight.numel() == 0:
        found = ", ".join(f"{name} {tuple(value.shape)}" for name, value in parameters.items()) or "none"
        raise Mismatch(f"{called} has no weight of real numbers to draw anew (its learnable parameters: {found})")
    return weight.double()


def filled(layer: Remote, value: float) -> dict[str, Tensor]:
    """Fill all parameters of a layer with the same number, and return them."""
    values = {name: torch.full_like(entry, value) for name, entry in layer.parameters().items()}
    layer.load(values)
    return values


def applied(student: Student, layer: Remote, called: str, before: dict[str, Tensor]) -> None:
    """Call init_cnn on a layer, or on a model that holds it if that does nothing."""
    student.init_cnn(layer)
    if torch.equal(weight_of(layer, called), before["weight"].double()):
        student.init_cnn(student.layer("Sequential", layer))

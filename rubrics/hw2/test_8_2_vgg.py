"""Networks using blocks (VGG): d2l.ai section 8.2."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import nn

import reference
from grader.testing import (
    Argument,
    Book,
    Case,
    Draw,
    Fault,
    Layer,
    Mismatch,
    Student,
    StudentFault,
    Training,
    assert_close,
    assert_layers,
    assert_output,
    assert_registered,
    build,
    compare_with_book,
    given,
    input_channels,
    item,
    learn,
    learning_rate,
    number_of_classes,
    output_channels,
    remark_on,
    run,
)

ARCHITECTURE = ((1, 64), (1, 128), (2, 256), (2, 512), (2, 512))
NARROW = ((1, 16), (1, 32), (2, 64), (2, 128), (2, 128))  # trained in section 8.2.3
IMAGE = (1, 224, 224)
ARCHITECTURE_NAMES = ("arch", "conv_arch", "architecture", "cfg", "config", "blocks", "conv_archs", "block_config")


def block_arguments(num_convs: int, inputs: int, outputs: int) -> Sequence[Argument]:
    """Return the arguments of a block. Older editions of the book have the input channels in the middle."""
    names = "num_convs num_conv n_convs n_conv convs num_layers n_layers layers depth num n"
    return Argument(num_convs, tuple(names.split())), input_channels(inputs), output_channels(outputs)


def image_and_block(draw: Draw) -> Iterator[Case]:
    """Generate images X, (n, c, h, w), and the parameters of a block's convolutions, in order."""
    for num_convs, inputs, outputs, h, w in ((1, 1, 4, 8, 6), (2, 3, 5, 6, 10), (3, 2, 3, 9, 7), (2, 4, 4, 4, 5)):
        parameters = []
        for number in range(num_convs):
            parameters += [draw.normal(outputs, outputs if number else inputs, 3, 3), draw.normal(outputs)]
        yield Case(
            f"vgg_block(num_convs={num_convs}, out_channels={outputs}) and images of {inputs}x{h}x{w}",
            X=draw.normal(2, inputs, h, w),
            num_convs=num_convs,
            out_channels=outputs,
            parameters=parameters,
        )


@item("vgg_block", block_arguments(1, 1, 1))
@given(image_and_block)
def test_vgg_block_convolves_and_halves(student: Student, case: Case) -> None:
    n, inputs, h, w = case.X.shape
    block = build(student.vgg_block, block_arguments(case.num_convs, inputs, case.out_channels), "vgg_block()")
    book = Book([partial(reference.vgg_block, case.num_convs, case.out_channels)])
    with compare_with_book(block, (inputs, h, w), book):
        operations = block.operations(case.X)
        assert_output(operations, (n, case.out_channels, h // 2, w // 2))
        names = [name for operation in operations for name in operation.parameters]
        shapes = block.parameter_shapes()
        expected = [tuple(value.shape) for value in case.parameters]
        if [shapes.get(name) for name in names] != expected or len(shapes) != len(expected):
            found = ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "none"
            raise Mismatch(
                f"expected {case.num_convs} 3x3 convolutions with biases, their parameters {expected}; found {found}",
                expected=[list(shape) for shape in expected],
                found=[list(shape) for shape in shapes.values()],
            )
        dtype = next(iter(block.parameters().values()), case.X).dtype
        block.load({name: value.to(dtype) for name, value in zip(names, case.parameters, strict=True)})
        assert_close(block(case.X.to(dtype)), reference_block(case)(case.X))


def reference_block(case: Case) -> nn.Module:
    """Return the reference's block with the case's parameters."""
    block = reference.vgg_block(case.num_convs, case.out_channels)
    block(case.X)  # its layers are lazy
    with torch.no_grad():
        for parameter, value in zip(block.parameters(), case.parameters, strict=True):
            parameter.copy_(value)
    return block


def vgg11() -> nn.Module:
    return reference.VGG(ARCHITECTURE)


def narrow_vgg() -> nn.Module:
    return reference.VGG(NARROW)


def vgg_layers() -> Iterator[Layer]:
    """Return the layers of VGG-11 on an image of 1x224x224."""
    inputs, size = 1, 224
    for block, (num_convs, outputs) in enumerate(ARCHITECTURE, start=1):
        for number in range(1, num_convs + 1):
            where = f"convolution {number} of block {block}"
            yield Layer("convolution", (outputs, size, size), (outputs, inputs, 3, 3), name=where)
            inputs = outputs
        size //= 2
        yield Layer("pooling", (outputs, size, size), name=f"the pooling of block {block}")
    inputs *= size**2
    names = ("the first fully connected layer", "the second fully connected layer", "the output layer")
    for name, outputs in zip(names, (4096, 4096, 10), strict=True):
        yield Layer("linear", (outputs,), (outputs, inputs), name=name)
        inputs = outputs


VGG11 = Book([vgg11], tuple(layer.name for layer in vgg_layers() if layer.kind != "pooling"))


def vgg_arguments(architecture: Sequence[Sequence[int]]) -> Sequence[Argument]:
    return (
        Argument(architecture, ARCHITECTURE_NAMES),
        input_channels(1),
        learning_rate(0.1),
        number_of_classes(10),
    )


def ways_to_vgg(architecture: Sequence[tuple[int, int]]) -> Iterator[Sequence[Argument]]:
    """Return the arguments of a VGG: pairs, triples with the input channels in the middle, or its own default."""
    yield vgg_arguments(architecture)
    inputs = (1, *(outputs for _, outputs in architecture))
    yield vgg_arguments([(number, c_i, c_o) for (number, c_o), c_i in zip(architecture, inputs, strict=False)])
    yield vgg_arguments(architecture)[1:]


@item("vgg11.shapes", vgg_arguments(ARCHITECTURE))
def test_vgg11_has_the_shapes_of_the_book(student: Student, draw: Draw, remark: Callable[[str], None]) -> None:
    first: StudentFault | None = None
    for arguments in ways_to_vgg(ARCHITECTURE):
        try:
            with run(student.VGG, arguments, "VGG(arch)", IMAGE, draw, VGG11) as model:
                layers = list(vgg_layers())
                assert_layers(model.layers, layers, activations=("relu",))
                assert_registered(model, layers)
                remark_on(remark, model, [vgg11])
            return
        except StudentFault as fault:
            if fault.fault is not Fault.RAISED:
                raise
            first = first or fault
    assert first is not None
    raise first


@item("vgg.training", vgg_arguments(NARROW))
def test_the_narrow_vgg_learns(student: Student, training: Training) -> None:
    learn(training, student.VGG, list(ways_to_vgg(NARROW)), "VGG(arch)", IMAGE, [narrow_vgg], convolutions=5)

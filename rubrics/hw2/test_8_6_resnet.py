"""Residual networks (ResNet): d2l.ai section 8.6."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor

import reference
from grader.testing import (
    Argument,
    Book,
    Case,
    Difference,
    Draw,
    Layer,
    Mismatch,
    Operation,
    Remote,
    Student,
    Training,
    assert_close,
    assert_layers,
    assert_like_book,
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

# The channels of each stage, and the side of its map for an image of 96x96.
STAGES = ((64, 24), (128, 12), (256, 6), (512, 3))
IMAGE = (1, 96, 96)
STEM, LAST = "the stem's convolution", "the second convolution of stage 4, block 2"
BOOK_ORDER = "convolution, normalisation, ReLU, convolution, normalisation, the sum with the shortcut, ReLU"
ARCHITECTURE = ((2, 64), (2, 128), (2, 256), (2, 512))


def residual_arguments(
    inputs: int,
    outputs: int,
    use_1x1conv: bool,
    strides: int,
    shortcut: Remote | None = None,
    default: Literal["named", "needed"] = "named",
) -> Sequence[Argument]:
    """Return the arguments of a block. Default values are passed only to parameters of the same name.

    `shortcut` is for blocks that are handed the module of their shortcut, as torchvision's are. With "needed" as
    `default` the block's own default values count, as in the book's calls.
    """
    names = "use_1x1conv use_1x1_conv use_1x1 use1x1 use_conv conv1x1 use_1by1conv use_conv1x1 use_shortcut projection"
    return (
        input_channels(inputs),
        output_channels(outputs),
        Argument(use_1x1conv, tuple(names.split()), "usually" if use_1x1conv else default),
        Argument(strides, ("strides", "stride", "s"), "usually" if strides > 1 else default),
        Argument(shortcut, ("downsample",), "named"),
    )


def image_and_block(draw: Draw) -> Iterator[Case]:
    """Generate images X, (n, c, h, w), and a block with parameters by the reference's names, the book's cases first."""
    for inputs, outputs, use_1x1conv, strides, (h, w), default in (
        (3, 3, False, 1, (6, 6), "needed"),
        (3, 6, True, 2, (6, 6), "named"),
        (4, 4, False, 1, (5, 7), "named"),
        (2, 5, True, 1, (7, 8), "named"),
    ):
        settings = ", use_1x1conv=True" * use_1x1conv + f", strides={strides}" * (strides > 1)
        X = draw.normal(4, inputs, h, w)
        block = reference.Residual(outputs, use_1x1conv, strides)
        block(X)  # its layers are lazy
        yield Case(
            f"Residual({outputs}{settings}) and images of {inputs}x{h}x{w}",
            X=X,
            num_channels=outputs,
            use_1x1conv=use_1x1conv,
            strides=strides,
            default=default,
            parameters={name: draw.normal(*value.shape) for name, value in block.named_parameters()},
        )


def is_right_in_a_block(difference: Difference) -> bool:
    """Tell whether a block may differ in this.

    A bias before a normalisation changes nothing. A shortcut may have a normalisation of its own, as torchvision's.
    """
    is_normalisation = (difference.aspect, difference.kind) == ("extra", "normalisation")
    return difference.aspect == "bias" or ("shortcut" in difference.layer and is_normalisation)


@item("residual", residual_arguments(1, 1, True, 2))
@given(image_and_block)
def test_the_residual_block_adds_its_shortcut(student: Student, case: Case) -> None:
    inputs, shortcut = case.X.shape[1], None
    if case.use_1x1conv:
        shortcut = student.layer("Conv2d", inputs, case.num_channels, kernel_size=1, stride=case.strides)
    arguments = residual_arguments(inputs, case.num_channels, case.use_1x1conv, case.strides, shortcut, case.default)
    block = build(student.Residual, arguments, "Residual()")
    right = reference.Residual(case.num_channels, case.use_1x1conv, case.strides).eval()
    make = partial(reference.Residual, case.num_channels, case.use_1x1conv, case.strides)
    with compare_with_book(block, tuple(case.X.shape[1:]), Book([make], ignores=is_right_in_a_block)):
        X = case.X
        operations = block.operations(X)
        assert_output(operations, right(X).shape)
        names = lined_up(block, operations, right)
        # A block without biases before its normalisations is right too.
        values = {name: value * (name in names) for name, value in case.parameters.items()}
        dtype = next(iter(block.parameters().values()), X).dtype
        X = X.to(dtype)
        with torch.no_grad():
            load(block, right, values, names, dtype)
            assert_close(block(X), right(case.X))
            # Scaling the last normalisation to zero silences the convolutions, so that only the shortcut is left.
            load(block, right, {name: 0 * values[name] for name in ("bn2.weight", "bn2.bias")}, names, dtype)
            assert_close(block(X), right(case.X))


def load(
    block: Remote, right: torch.nn.Module, values: dict[str, Tensor], names: dict[str, str], dtype: torch.dtype
) -> None:
    """Fill parameters of the student's block and of the reference with the same numbers."""
    block.load({names[name]: value.to(dtype) for name, value in values.items() if name in names})
    for name, parameter in right.named_parameters():
        parameter.copy_(values.get(name, parameter))


def layers_in_order(operations: Sequence[Operation], shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Describe the layers of a block's forward pass in the order in which they run."""
    words = {"relu": "ReLU", "clamp_min": "ReLU", "add": "sum", "convolution": "convolution"}
    layers = []
    for operation in operations:
        name = operation.name.rstrip("_")
        layer = "normalisation" if "batch_norm" in name else words.get(name, "")
        if layer == "convolution" and any(shapes.get(own, ())[-2:] == (1, 1) for own in operation.parameters[:1]):
            layer = "1x1 convolution"
        layers += [layer] if layer else []
    return ", ".join(layers)


def lined_up(block: Remote, operations: Sequence[Operation], right: torch.nn.Module) -> dict[str, str]:
    """Map the reference's parameter names to the block's, by the order in which the parameters are used.

    A convolution without bias and a shortcut with a normalisation of its own are as right as the book's.
    """
    shapes = block.parameter_shapes()
    branch = iter(("conv1", "conv2"))
    latest = ""
    names: dict[str, str] = {}
    for operation in operations:
        name = operation.name
        if name == "convolution" and operation.parameters:
            weight = shapes.get(operation.parameters[0], ())
            latest = "conv3" if weight[-2:] == (1, 1) else next(branch, "another convolution")
        elif "batch_norm" in name and latest:
            latest = latest.replace("conv", "bn")
        else:
            continue
        names.update(zip((f"{latest}.weight", f"{latest}.bias"), operation.parameters, strict=False))
    expected = {name: tuple(value.shape) for name, value in right.named_parameters()}
    needed = {name for name in expected if not (name.startswith("conv") and name.endswith("bias"))}
    wrong = [name for name in expected if name in names and shapes.get(names[name]) != expected[name]]
    extra = "conv3.weight" in names.keys() - expected.keys() or any(name.startswith("another") for name in names)
    if wrong or extra or not needed <= names.keys():
        if sorted(shapes.values()) == sorted(expected.values()):
            order = layers_in_order(operations, shapes)
            raise Mismatch(f"the block has the right layers in another order: expected {BOOK_ORDER}; found {order}")
        found = ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "none"
        raise Mismatch(
            "expected two 3x3 convolutions, each with a batch normalisation"
            + (", and a 1x1 convolution" if "conv3.weight" in expected else ", and no other convolution")
            + f"; found the parameters {found}",
            expected=[list(shape) for shape in expected.values()],
            found=[list(shape) for shape in shapes.values()],
        )
    return names


def resnet_layers() -> Iterator[Layer]:
    """Return the layers of ResNet-18 on an image of 1x96x96, without the 1x1 convolutions of its shortcuts."""
    yield Layer("convolution", (64, 48, 48), (64, 1, 7, 7), name=STEM)
    yield Layer("pooling", (64, 24, 24), name="the stem's pooling")
    inputs = 64
    for stage, (outputs, side) in enumerate(STAGES, start=1):
        for block, number in ((1, "first"), (1, "second"), (2, "first"), (2, "second")):
            where = f"the {number} convolution of stage {stage}, block {block}"
            yield Layer("convolution", (outputs, side, side), (outputs, inputs, 3, 3), name=where)
            inputs = outputs
    yield Layer("pooling", (512,), name="the global pooling")
    yield Layer("linear", (10,), (10, 512), name="the output layer")


def resnet_names() -> Iterator[str]:
    """Return the names of ResNet-18's convolutions and of its output layer, with the shortcuts' convolutions."""
    for layer in resnet_layers():
        if layer.kind != "pooling":
            yield layer.name
        if layer.name.startswith("the second convolution of stage") and layer.name.endswith("block 1"):
            where = layer.name.removeprefix("the second convolution of ")
            if where != "stage 1, block 1":
                yield f"the shortcut's 1x1 convolution of {where}"


def is_outside_of_blocks(difference: Difference) -> bool:
    """Tell whether something is missing, of another kind or out of order in the stem or after the last block.

    The item `residual` judges the blocks.
    """
    is_near = difference.layer == STEM or (difference.layer == LAST and difference.kind == "pooling")
    judged = ("activation", "normalisation", "pooling")
    return is_near and difference.kind in judged and difference.aspect in ("missing", "variant", "order")


RESNET_ARGUMENTS = (
    Argument(ARCHITECTURE, ("arch", "architecture", "cfg", "config", "blocks"), "required"),
    input_channels(1),
    learning_rate(0.1),
    number_of_classes(10),
)


@item("resnet18.shapes", RESNET_ARGUMENTS)
def test_resnet18_has_the_shapes_of_the_book(student: Student, draw: Draw, remark: Callable[[str], None]) -> None:
    book = Book([reference.ResNet18], tuple(resnet_names()), ignores=is_right_in_a_block)
    with run(student.ResNet18, RESNET_ARGUMENTS, "ResNet18()", IMAGE, draw, book) as model:
        layers = [layer for layer in model.layers if layer.weight[-2:] != (1, 1) or len(layer.shape) == 1]
        expected = list(resnet_layers())
        assert_layers(layers, expected)
        assert_registered(model, expected)
        assert_like_book(model, is_outside_of_blocks)
        remark_on(remark, model, book.makes)


@item("resnet18.training", RESNET_ARGUMENTS)
def test_resnet18_learns(student: Student, training: Training) -> None:
    books = [reference.ResNet18]
    learn(training, student.ResNet18, [RESNET_ARGUMENTS], "ResNet18()", IMAGE, books, convolutions=10)

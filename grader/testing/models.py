"""Judging models by what they do: the layers of a forward pass, in order, whatever the attributes are called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Literal

import torch
from torch import Tensor

from grader.student import Fault, Operation, Remote, StudentFault
from grader.testing.arguments import Argument, fit_arguments
from grader.testing.compare import assert_module
from grader.testing.failures import Mismatch

__all__ = [
    "Layer",
    "Model",
    "assert_layers",
    "assert_output",
    "assert_parameters",
    "assert_registered",
    "build",
    "find_layers",
    "run",
]

Kind = Literal["convolution", "linear", "pooling"]

_WEIGHTED: dict[str, Kind] = {
    "convolution": "convolution",
    "addmm": "linear",
    "baddbmm": "linear",
    "bmm": "linear",
    "mm": "linear",
}
# What gives the same numbers in another shape: a pooling is known by the map before them.
_VIEWS = {
    *("view", "_unsafe_view", "expand", "permute", "transpose", "t", "squeeze", "unsqueeze", "as_strided", "unfold"),
    *("slice", "select", "split", "unbind", "alias", "clone", "detach"),
}
_POOLS = ("pool", "mean", "amax", "max")
_ACTIVATIONS = {
    **dict.fromkeys(("relu", "clamp", "clamp_min", "maximum", "threshold"), "relu"),
    **{name: name for name in ("sigmoid", "tanh", "gelu", "silu", "elu", "leaky_relu", "softplus", "mish", "prelu")},
}


# What goes wrong about shapes and names goes wrong with numbers, too, and those may take seconds and gigabytes to draw.
_NUMBERS_NO_CURE = re.compile(
    r"NameError|AttributeError|positional argument|keyword argument|shapes cannot be multiplied|Given groups="
    r"|size mismatch|must match the size|is invalid for input of size|[Oo]utput size is too small"
)


@dataclass(frozen=True)
class Layer:
    """One convolution, fully connected layer or pooling of a forward pass.

    Attributes:
        shape: of its output for one image; a map of one pixel counts as flat.
        weight: the shape of its weight; () where it has none, or where none is asked for.
        activation: the first non-linear function after it and before the next weights ("relu", "sigmoid"), or "".
        name: what a message calls it, such as "block 3, pooling".
    """

    kind: Kind
    shape: tuple[int, ...]
    weight: tuple[int, ...] = ()
    activation: str = ""
    name: str = ""


@dataclass(frozen=True)
class Model:
    """A student's model after one forward pass: its layers, and the shapes of its parameters by name."""

    remote: Remote
    operations: tuple[Operation, ...]
    layers: tuple[Layer, ...]
    parameters: dict[str, tuple[int, ...]]


def build(thing: Remote, arguments: Sequence[Argument], called: str) -> Remote:
    """Return a model: an instance as it is, a class or a factory called with what its signature has.

    Args:
        thing: what the student bound to the name.
        arguments: what it may be called with, in the textbook's order.
        called: the call as a message names it, such as "LeNet()".

    Raises:
        Mismatch: it gives no nn.Module.
    """
    if getattr(thing, "kind", None) in ("class", "function"):
        positional, named = fit_arguments(thing, arguments)
        thing = thing(*positional, **named)
    return assert_module(thing, called)


def run(thing: Remote, arguments: Sequence[Argument], called: str, image: tuple[int, ...]) -> Model:
    """Build a model and run it once; it has no numbers where the student's code can do without them.

    Args:
        thing, arguments, called: as for `build`.
        image: the shape of one image, (c, h, w).

    Raises:
        Mismatch: it gives no nn.Module.
    """
    X = torch.linspace(-1, 1, 3 * prod(image)).reshape(3, *image)
    if getattr(thing, "kind", None) in ("class", "function"):
        try:
            positional, named = fit_arguments(thing, arguments)
            sketch = thing.sketch(*positional, **named)
            if getattr(sketch, "kind", None) == "module":
                return _after(sketch, X)
        except StudentFault as fault:
            if fault.fault is not Fault.RAISED or _NUMBERS_NO_CURE.search(fault.message):
                raise
    return _after(build(thing, arguments, called), X)


def _after(model: Remote, X: Tensor) -> Model:
    """Run a model on three images, or on one where it takes only one at a time."""
    try:
        operations = model.operations(X)
    except StudentFault as fault:
        if fault.fault is not Fault.RAISED:
            raise
        operations = model.operations(X[:1])
    parameters = model.parameter_shapes()
    return Model(model, operations, find_layers(operations, parameters), parameters)


def find_layers(operations: Sequence[Operation], parameters: dict[str, tuple[int, ...]]) -> tuple[Layer, ...]:
    """Return the layers that operations make up; poolings that change nothing are left out.

    Args:
        operations: of one forward pass.
        parameters: the shapes of the model's parameters by name.
    """
    layers: list[Layer] = []
    weighted = -1  # the last layer with weights
    current: tuple[int, ...] = ()
    used: set[str] = set()
    for operation in operations:
        name, shape = operation.name.rstrip("_"), _of_one_image(operation)
        weights = [parameters[each] for each in operation.parameters if len(parameters.get(each, ())) > 1]
        if name in _WEIGHTED:
            layers.append(Layer(_WEIGHTED[name], shape, weights[0] if weights else ()))
            weighted, used = len(layers) - 1, set()
        elif _is_pool(name) and shape != current and (len(shape) == 3 or len(current) == 3):
            layers.append(Layer("pooling", shape))
        elif weighted >= 0 and not layers[weighted].activation:
            used.add(name)
            layers[weighted] = replace(layers[weighted], activation=_activation(name, used))
        if name not in _VIEWS:
            current = shape
    return tuple(layers)


def _is_pool(name: str) -> bool:
    return "softmax" not in name and any(part in name for part in _POOLS)


def _of_one_image(operation: Operation) -> tuple[int, ...]:
    shape = operation.shape[1:]
    return shape[:-2] if shape[-2:] == (1, 1) else shape


def _activation(name: str, used: set[str]) -> str:
    by_hand = "exp" in used and bool(used & {"div", "reciprocal", "pow"})
    compared = bool(used & {"gt", "ge", "lt", "le"})
    if compared and name in ("where", "mul", "masked_fill"):
        return "relu"
    return _ACTIVATIONS.get(name, "sigmoid" if by_hand else "")


def assert_layers(found: Sequence[Layer], expected: Sequence[Layer], activations: Sequence[str] = ()) -> None:
    """Require these layers in this order; the message names the first that departs.

    Policy: output shapes are equal, a pooling is where one is expected; a convolution over the whole map counts as
    a fully connected layer. A weight has as many entries as the expected one, where that is given and the found one
    can be seen. Every layer with weights but the last is followed by one of the `activations`, where any are given.

    Args:
        found: what the student's model does.
        expected: what it should do.
        activations: the names of those that are right ("relu"), or none to leave them open.

    Raises:
        Mismatch: they depart.
    """
    for number, right in enumerate(expected):
        wrong = found[number] if number < len(found) else None
        why = _departure(wrong, right, expected[number - 1] if number else None)
        if why:
            raise Mismatch(f"{right.name or f'layer {number + 1}'} {why}", stages=_stages(found, expected))
    if len(found) > len(expected):
        extra = found[len(expected)]
        message = f"after the last layer a {extra.kind} giving {format_shape(extra.shape)} follows"
        raise Mismatch(
            f"{message}, expected {format_shape(expected[-1].shape)} at the end", stages=_stages(found, expected)
        )
    with_weights = [(here, right) for here, right in zip(found, expected, strict=True) if right.kind != "pooling"]
    for here, right in with_weights[:-1]:
        if activations and here.activation not in activations:
            used = here.activation or "none"
            after = f"{right.name or right.kind} ({format_shape(right.shape)})"
            raise Mismatch(f"expected {' or '.join(activations)} after {after}, found {used}")


def _departure(found: Layer | None, right: Layer, before: Layer | None) -> str:
    wanted = f"expected {right.kind} giving {format_shape(right.shape)}"
    if found is None:
        return f"is missing: {wanted}, found nothing more"
    if found.shape != right.shape or (found.kind == "pooling") != (right.kind == "pooling"):
        guess = _guess(found, right, before)
        return f"gives {format_shape(found.shape)} ({found.kind}), {wanted}{guess}"
    if right.weight and found.weight and prod(found.weight) != prod(right.weight):
        return f"has a weight of {format_shape(found.weight)}, expected {format_shape(right.weight)}"
    return ""


def _guess(found: Layer, right: Layer, before: Layer | None) -> str:
    """Say what usually leads to such a departure."""
    if right.kind == "pooling" != found.kind:
        return ": is a pooling layer missing?"
    if found.kind == "pooling" != right.kind:
        return ": is this pooling layer one too many?"
    if len(found.shape) != len(right.shape):
        return ": is a layer missing, or the flattening?"
    if found.shape[0] != right.shape[0]:
        return ": look at the number of channels" if len(right.shape) == 3 else ": look at the number of outputs"
    if before is not None and found.shape[1:] == before.shape[1:] != right.shape[1:]:
        return ": is a stride missing?"
    return ": look at the kernel size, padding and stride"


def assert_output(operations: Sequence[Operation], expected_shape: Sequence[int]) -> None:
    """Require a forward pass to end with a result of this shape, the batch dimension included.

    Raises:
        Mismatch: it has another shape.
    """
    found, expected = operations[-1].shape if operations else (), tuple(expected_shape)
    if found != expected:
        raise Mismatch(f"expected shape {expected}, found {found}", expected=list(expected), found=list(found))


def assert_parameters(model: Model, expected: int) -> None:
    """Require a model to have this many learnable numbers.

    Raises:
        Mismatch: it has more or fewer.
    """
    found = sum(prod(shape) for shape in model.parameters.values())
    if found != expected:
        raise Mismatch(f"expected {expected:,} parameters, found {found:,}", expected=expected, found=found)


def assert_registered(model: Model, expected: Sequence[Layer]) -> None:
    """Require a model to own the weights of its layers: what it does not own no optimiser trains.

    Raises:
        Mismatch: its parameters hold fewer numbers than the expected layers' weights.
    """
    wanted = sum(prod(layer.weight) for layer in expected if layer.weight)
    found = sum(prod(shape) for shape in model.parameters.values() if len(shape) > 1)
    if found < wanted:
        raise Mismatch(
            f"the model's parameters hold {found:,} weights, its layers have {wanted:,}: layers in a plain list are "
            "not seen by the optimiser (use nn.ModuleList or nn.Sequential)",
            expected=wanted,
            found=found,
        )


def _stages(found: Sequence[Layer], expected: Sequence[Layer]) -> list[dict[str, object]]:
    """Return both rows of layers side by side, as evidence."""
    rows: list[dict[str, object]] = []
    for number in range(max(len(found), len(expected))):
        right = expected[number] if number < len(expected) else None
        here = found[number] if number < len(found) else None
        name = (right and (right.name or right.kind)) or (here and here.kind) or ""
        rows.append(
            {"layer": name, "expected": right and list(right.shape), "found": here and list(here.shape)},
        )
    return rows


def format_shape(shape: tuple[int, ...]) -> str:
    """Write a shape as the textbook does: 64x112x112."""
    return "x".join(str(n) for n in shape) or "one number"

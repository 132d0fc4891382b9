"""Judge models by what they do: by the layers of a forward pass, in order, whatever the attributes are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Literal

from grader.student import Operation, Remote
from grader.testing.failures import Mismatch
from grader.training.differences import Difference
from grader.training.graph_reader import ExportedModel

__all__ = [
    "Layer",
    "Model",
    "assert_layers",
    "assert_output",
    "assert_parameters",
    "assert_registered",
    "find_layers",
]

Kind = Literal["convolution", "linear", "pooling"]

_WEIGHTED: dict[str, Kind] = {
    "convolution": "convolution",
    "addmm": "linear",
    "baddbmm": "linear",
    "bmm": "linear",
    "mm": "linear",
}
# Operations that give the same numbers in another shape. A pooling is recognised by the map before them.
_VIEWS = {
    *("view", "_unsafe_view", "expand", "permute", "transpose", "t", "squeeze", "unsqueeze", "as_strided", "unfold"),
    *("slice", "select", "split", "unbind", "alias", "clone", "detach"),
}
_POOLS = ("pool", "mean", "amax", "max")
_NOT_SEEN = "layers in a plain list are not seen by the optimiser (use nn.ModuleList or nn.Sequential)"
_ACTIVATIONS = {
    **dict.fromkeys(("relu", "clamp", "clamp_min", "maximum", "threshold"), "relu"),
    **{name: name for name in ("sigmoid", "tanh", "gelu", "silu", "elu", "leaky_relu", "softplus", "mish", "prelu")},
}


@dataclass(frozen=True)
class Layer:
    """One convolution, fully connected layer or pooling of a forward pass.

    Attributes:
        shape: the shape of its output for one image; a map of one pixel counts as flat.
        weight: the shape of its weight; () if it has none, or if any weight is accepted.
        activation: the first non-linear function after it and before the next weights ("relu", "sigmoid"), or "".
        name: its name in messages, such as "block 3, pooling".
    """

    kind: Kind
    shape: tuple[int, ...]
    weight: tuple[int, ...] = ()
    activation: str = ""
    name: str = ""


@dataclass(frozen=True)
class Model:
    """A student's model.

    Attributes:
        remote: the model in the student's process.
        operations: the operations of one forward pass.
        layers: the layers that these make up.
        parameters: the shapes of its parameters by name.
        exported: the graph from which we found operations and layers; None if those are the process's own word.
        reason: why there is no graph.
        differences: from the textbook's model, as far as its graph shows them.
    """

    remote: Remote
    operations: tuple[Operation, ...]
    layers: tuple[Layer, ...]
    parameters: dict[str, tuple[int, ...]]
    exported: ExportedModel | None = None
    reason: str = ""
    differences: tuple[Difference, ...] = ()


def find_layers(operations: Sequence[Operation], parameters: dict[str, tuple[int, ...]]) -> tuple[Layer, ...]:
    """Return the layers that operations make up, without poolings that change nothing.

    Args:
        operations: the operations of one forward pass.
        parameters: the shapes of the model's parameters by name.
    """
    layers: list[Layer] = []
    weighted = -1  # index of the last layer with weights
    current: tuple[int, ...] = ()
    used: set[str] = set()
    for operation in operations:
        name, shape = operation.name.rstrip("_"), _get_image_shape(operation)
        weights = [parameters[key] for key in operation.parameters if len(parameters.get(key, ())) > 1]
        if name in _WEIGHTED:
            layers.append(Layer(_WEIGHTED[name], shape, weights[0] if weights else ()))
            weighted, used = len(layers) - 1, set()
        elif _is_pool(name) and shape != current and (len(shape) == 3 or len(current) == 3):
            layers.append(Layer("pooling", shape))
        elif weighted >= 0 and not layers[weighted].activation:
            used.add(name)
            layers[weighted] = replace(layers[weighted], activation=_name_activation(name, used))
        if name not in _VIEWS:
            current = shape
    return tuple(layers)


def _is_pool(name: str) -> bool:
    return "softmax" not in name and any(part in name for part in _POOLS)


def _get_image_shape(operation: Operation) -> tuple[int, ...]:
    shape = operation.shape[1:]
    return shape[:-2] if shape[-2:] == (1, 1) else shape


def _name_activation(name: str, used: set[str]) -> str:
    by_hand = "exp" in used and bool(used & {"div", "reciprocal", "pow"})
    compared = bool(used & {"gt", "ge", "lt", "le"})
    if compared and name in ("where", "mul", "masked_fill"):
        return "relu"
    return _ACTIVATIONS.get(name, "sigmoid" if by_hand else "")


def assert_layers(found: Sequence[Layer], expected: Sequence[Layer], activations: Sequence[str] = ()) -> None:
    """Require these layers in this order. The message names the first one that differs.

    Policy: output shapes are equal, and poolings are where they are expected. A convolution over the whole map counts
    as a fully connected layer. A weight has as many entries as the expected one, if that is given and the student's
    weight is visible. If `activations` are given, one of them follows every layer with weights except the last.

    Args:
        found: the layers of the student's model.
        expected: the right layers.
        activations: the names of the right activations ("relu"); if empty, all are right.

    Raises:
        Mismatch: the layers differ.
    """
    for number, right in enumerate(expected):
        layer = found[number] if number < len(found) else None
        difference = _describe_difference(layer, right, expected[number - 1] if number else None)
        if difference:
            name = right.name or f"layer {number + 1}"
            raise Mismatch(f"{name} {difference}", stages=_list_stages(found, expected))
    if len(found) > len(expected):
        extra = found[len(expected)]
        message = f"after the last layer a {extra.kind} giving {format_shape(extra.shape)} follows"
        raise Mismatch(
            f"{message}, expected {format_shape(expected[-1].shape)} at the end", stages=_list_stages(found, expected)
        )
    with_weights = [(here, right) for here, right in zip(found, expected, strict=True) if right.kind != "pooling"]
    for here, right in with_weights[:-1]:
        if activations and here.activation not in activations:
            used = here.activation or "none"
            after = f"{right.name or right.kind} ({format_shape(right.shape)})"
            raise Mismatch(f"expected {' or '.join(activations)} after {after}, found {used}")


def _describe_difference(found: Layer | None, right: Layer, before: Layer | None) -> str:
    expectation = f"expected {right.kind} giving {format_shape(right.shape)}"
    if found is None:
        return f"is missing: {expectation}, found nothing more"
    if found.shape != right.shape or (found.kind == "pooling") != (right.kind == "pooling"):
        guess = _guess_cause(found, right, before)
        return f"gives {format_shape(found.shape)} ({found.kind}), {expectation}{guess}"
    if right.weight and found.weight and prod(found.weight) != prod(right.weight):
        return f"has a weight of {format_shape(found.weight)}, expected {format_shape(right.weight)}"
    return ""


def _guess_cause(found: Layer, right: Layer, before: Layer | None) -> str:
    """Describe the usual cause of such a difference."""
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
    """Require the result of a forward pass to have this shape, including the batch dimension.

    Raises:
        Mismatch: it has another shape.
    """
    found, expected = operations[-1].shape if operations else (), tuple(expected_shape)
    if found != expected:
        raise Mismatch(f"expected shape {expected}, found {found}", expected=list(expected), found=list(found))


def assert_parameters(model: Model, expected: int) -> None:
    """Require a model to have `expected` learnable numbers.

    Raises:
        Mismatch: it has more or fewer.
    """
    found = sum(prod(shape) for shape in model.parameters.values())
    if found != expected:
        raise Mismatch(f"expected {expected:,} parameters, found {found:,}", expected=expected, found=found)


def assert_registered(model: Model, expected: Sequence[Layer]) -> None:
    """Require a model to register the weights of its layers as parameters: an optimiser trains no others.

    Raises:
        Mismatch: its parameters hold fewer numbers than the expected layers' weights.
    """
    if not model.parameters:
        raise Mismatch(f"the model registers none of its layers as parameters: {_NOT_SEEN}")
    needed = sum(prod(layer.weight) for layer in expected if layer.weight)
    found = sum(prod(shape) for shape in model.parameters.values() if len(shape) > 1)
    if found < needed:
        raise Mismatch(
            f"the model's parameters hold {found:,} weights, its layers have {needed:,}: {_NOT_SEEN}",
            expected=needed,
            found=found,
        )


def _list_stages(found: Sequence[Layer], expected: Sequence[Layer]) -> list[dict[str, object]]:
    """List the found and the expected layers side by side, as evidence."""
    rows: list[dict[str, object]] = []
    for number in range(max(len(found), len(expected))):
        right = expected[number] if number < len(expected) else None
        layer = found[number] if number < len(found) else None
        name = (right and (right.name or right.kind)) or (layer and layer.kind) or ""
        rows.append(
            {"layer": name, "expected": right and list(right.shape), "found": layer and list(layer.shape)},
        )
    return rows


def format_shape(shape: tuple[int, ...]) -> str:
    """Format a shape as the textbook does: 64x112x112."""
    return "x".join(str(n) for n in shape) or "one number"

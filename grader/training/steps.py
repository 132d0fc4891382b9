"""A forward pass as the steps that a person would list: one after the other, a shortcut after the branch beside it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from grader.training.graph import IMAGE, Node
from grader.training.graph_reader import Forward

__all__ = ["Step", "StepKind", "list_steps"]

StepKind = Literal["convolution", "linear", "normalisation", "activation", "pooling", "join", "softmax"]

_ACTIVATIONS = {"relu", "sigmoid", "tanh", "gelu", "silu", "mish", "elu", "leaky_relu", "softplus", "hardtanh", "prelu"}
_JOINS = {"add", "sub", "mul", "div", "maximum", "minimum", "cat"}
_POOLINGS = {
    "max_pool2d": "maximum",
    "adaptive_max_pool2d": "maximum",
    "amax": "maximum",
    "avg_pool2d": "average",
    "adaptive_avg_pool2d": "average",
    "mean": "average",
}
_PASSED_OVER = {"dropout", "flatten", "reshape", "pad"}


@dataclass(frozen=True)
class Step:
    """One layer or function of a forward pass.

    Attributes:
        kind: what it is. A convolution over the whole map at the end is a fully connected layer ("linear").
        variant: of an activation ("relu"), a pooling ("maximum", "average") or a join of two branches ("add", "cat").
        before, shape: of its input and its result for one image; `shape` is () if torch refused the operation.
        width: its number of output channels or units.
        takes: the input channels or units that its parameters are made for.
        kernel, stride, padding: of a convolution or pooling; () if it pools the whole map.
        has_bias: whether it adds a bias.
        parameters: the numbers of its parameters.
        on_shortcut: whether it stands beside the longer branch of a join.
        other: of a join: the shape of the shorter branch.
        spans: of a join: how many layers with weights the longer branch has.
        is_refused: whether torch refused the operation.
    """

    kind: StepKind
    variant: str = ""
    before: tuple[int, ...] = ()
    shape: tuple[int, ...] = ()
    width: int = 0
    takes: int = 0
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    has_bias: bool = True
    parameters: tuple[int, ...] = ()
    on_shortcut: bool = False
    other: tuple[int, ...] = ()
    spans: int = 0
    is_refused: bool = False

    @property
    def has_weights(self) -> bool:
        """Whether it is a convolution or a fully connected layer."""
        return self.kind in ("convolution", "linear")


def list_steps(forward: Forward) -> tuple[Step, ...] | None:
    """Return the steps of a forward pass, or None if it holds an operation that none of them stands for.

    Dropout, and what only changes the shape of a tensor, is no step.
    """
    lister = _Lister(forward)
    try:
        return tuple(_join_head(lister.list_path(len(forward.nodes) - 1, IMAGE)))
    except (_Unknown, RecursionError):
        return None


def _join_head(steps: list[Step]) -> list[Step]:
    """Return the steps with the convolutions over the whole map that end a model as fully connected layers."""
    for number in reversed(range(len(steps))):
        step = steps[number]
        if step.kind == "join" or step.on_shortcut:
            break
        if step.kind == "convolution":
            if step.is_refused or step.shape[1:] != (1, 1) or step.kernel != step.before[1:]:
                break
            takes = step.takes * math.prod(step.kernel)
            steps[number] = replace(step, kind="linear", takes=takes, kernel=(), stride=(), padding=())
    return steps


class _Unknown(Exception):
    """No step stands for an operation."""


class _Lister:
    """Lists steps from the output back to the images."""

    def __init__(self, forward: Forward) -> None:
        self._forward = forward
        self._sources: list[int] = []  # of each node, itself included: bit 0 for the images, bit n + 1 for node n
        for number, node in enumerate(forward.nodes):
            bits = 1 << (number + 1)
            for source in node.inputs:
                bits |= self._sources[source] if source != IMAGE else 1
            self._sources.append(bits)

    def list_path(self, last: int, start: int) -> list[Step]:
        """Return the steps after node `start` up to node `last`."""
        parts: list[list[Step]] = []
        number = last
        while number > start:
            node = self._forward.nodes[number]
            if len(node.inputs) > 1:
                number, steps = self._list_branches(number, node)
            else:
                steps = self._read(number, node)
                number = node.inputs[0]
            parts.append(steps)
        return [step for part in reversed(parts) for step in part]

    def _list_branches(self, number: int, node: Node) -> tuple[int, list[Step]]:
        """Return where the branches of a join begin, and their steps, those of the longest one first."""
        common = -1
        for source in node.inputs:
            common &= self._sources[source] if source != IMAGE else 1
        fork = common.bit_length() - 2
        branches = [(self.list_path(source, fork), source) for source in node.inputs]
        branches.sort(key=lambda branch: -sum(1 + 100 * step.has_weights for step in branch[0]))
        (main, source), *others = branches
        steps = main + [replace(step, on_shortcut=True) for branch, _ in others for step in branch]
        if node.operation not in _JOINS:
            raise _Unknown
        join = Step(
            "join",
            node.operation,
            before=self._shape(source),
            shape=self._shape(number),
            other=self._shape(others[0][1]),
            spans=sum(step.has_weights for step in main),
            is_refused=number not in self._forward.shapes,
        )
        return fork, [*steps, join]

    def _shape(self, number: int) -> tuple[int, ...]:
        return self._forward.shapes.get(number, ())[1:]

    def _read(self, number: int, node: Node) -> list[Step]:
        """Return the step that a node with one input is, if it is one."""
        name, before, shape = node.operation, self._shape(node.inputs[0]), self._shape(number)
        refused = number not in self._forward.shapes
        step = Step("softmax", before=before, shape=shape, parameters=node.parameters, is_refused=refused)
        settings = dict(node.settings)
        if name in _ACTIVATIONS or (name == "maximum" and settings.get("number") == 0):
            return [replace(step, kind="activation", variant="relu" if name == "maximum" else name)]
        if name in _POOLINGS:
            return self._read_pooling(node, step)
        if name in ("softmax", "log_softmax"):
            return [step]
        if name in _PASSED_OVER or (name == "add" and node.parameters):
            return []
        read = _READERS.get(name)
        if read is None:
            raise _Unknown
        weights = [self._forward.parameters[index] for index in node.parameters]
        return [self._add_padding(node, read(step, weights, settings))]

    def _read_pooling(self, node: Node, step: Step) -> list[Step]:
        settings = dict(node.settings)
        if "dim" in settings and settings["dim"] not in ((2, 3), (1, 2, 3)):
            raise _Unknown
        step = replace(step, kind="pooling", variant=_POOLINGS[node.operation])
        if step.shape == step.before and not step.is_refused:
            return []
        if "kernel_size" in settings:
            kernel, stride, padding = (tuple(settings[key]) for key in ("kernel_size", "stride", "padding"))
            step = replace(step, kernel=kernel, stride=stride, padding=padding)
        return [self._add_padding(node, step)]

    def _add_padding(self, node: Node, step: Step) -> Step:
        """Return the step with the padding of an operation of its own before it."""
        source = node.inputs[0]
        if source == IMAGE or self._forward.nodes[source].operation != "pad" or not step.padding:
            return step
        pad = tuple(self._forward.nodes[source].setting("pad"))
        if len(pad) != 4 or pad[0] != pad[1] or pad[2] != pad[3]:
            raise _Unknown
        return replace(step, padding=(step.padding[0] + pad[2], step.padding[1] + pad[0]))


_Reader = Callable[[Step, list[tuple[int, ...]], dict[str, Any]], Step]


def _read_convolution(step: Step, weights: list[tuple[int, ...]], settings: dict[str, Any]) -> Step:
    width, takes, *kernel = weights[0]
    return replace(
        step,
        kind="convolution",
        width=width,
        takes=takes * int(settings["groups"]),
        kernel=tuple(kernel),
        stride=settings["stride"],
        padding=settings["padding"],
        has_bias=len(weights) > 1,
    )


def _read_linear(step: Step, weights: list[tuple[int, ...]], settings: dict[str, Any]) -> Step:
    return replace(step, kind="linear", width=weights[0][0], takes=weights[0][1], has_bias=len(weights) > 1)


def _read_product(step: Step, weights: list[tuple[int, ...]], settings: dict[str, Any]) -> Step:
    return replace(step, kind="linear", width=weights[0][-1], takes=weights[0][0])


def _read_normalisation(step: Step, weights: list[tuple[int, ...]], settings: dict[str, Any]) -> Step:
    takes = weights[0][0] if weights else step.before[0]
    return replace(step, kind="normalisation", width=takes, takes=takes)


_READERS: dict[str, _Reader] = {
    "conv2d": _read_convolution,
    "linear": _read_linear,
    "matmul": _read_product,
    "batch_norm": _read_normalisation,
}

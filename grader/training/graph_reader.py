"""Builds a graph from a student's process's description of a model: an allow-list, bounds, and a canonical form.

Nothing that arrives is executed: each operation is looked up by name, its settings are checked, and shapes are computed
here. Models that compute the same give the same graph, however they are written: with in-place operations or views,
with branches and operands in another order, with `F.relu` or `nn.ReLU`, with any of the poolings over the whole map.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch

from grader.models.export import BATCH
from grader.training.canonical_form import canonicalise
from grader.training.graph import IMAGE, Graph, Node, TooLarge, Unsupported, sort_settings
from grader.training.network import OPERATIONS
from grader.training.translations import PASSED_ON, TRANSLATIONS, Translation

__all__ = [
    "ExportedModel",
    "Forward",
    "follow",
    "read_graph",
    "read_until_failure",
    "resize",
    "resize_exported",
]

_MAX_NODES = 2000
_MAX_PARAMETERS = 300_000_000
_MAX_IMAGE = 1_000_000
_MAX_RESULTS = 100_000_000  # numbers that all operations give for one image; a ResNet-152 on 224x224 gives 68 million
_MAX_SIDE = 1_000_000_000  # of a tensor
_SHAPE_ONLY = {"flatten", "reshape", "permute"}


@dataclass(frozen=True)
class ExportedModel:
    """A model's graph, and the model's names of its parameters in the order of the graph.

    `frozen` lists the parameters that training would not change.
    """

    graph: Graph
    names: tuple[str, ...]
    frozen: tuple[str, ...]


@dataclass(frozen=True)
class Forward:
    """A forward pass with the shape of each result, up to its output or to the operation that torch refused.

    Attributes:
        parameters: the shape of each parameter.
        nodes: the operations, in order.
        shapes: the shape of each node's result by its number, for a batch of images; a refused operation has none.
        is_open: whether more would follow: torch refused the last operation, or the next result is too large.
    """

    parameters: tuple[tuple[int, ...], ...]
    nodes: tuple[Node, ...]
    shapes: Mapping[int, tuple[int, ...]]
    is_open: bool = False


def follow(graph: Graph) -> Forward:
    """Return the shapes of all results of a graph."""
    shapes: dict[int, tuple[int, ...]] = {IMAGE: (BATCH, *graph.image)}
    for number, node in enumerate(graph.nodes):
        inputs = tuple(shapes[source] for source in node.inputs)
        weights = tuple(graph.parameters[index] for index in node.parameters)
        shapes[number] = _shape_after(node.operation, node.settings, inputs, weights)
    return Forward(graph.parameters, graph.nodes, shapes)


def read_until_failure(answer: Any) -> Forward | None:
    """Return the forward pass of a model up to where torch refused an operation, or a result is too large, or None.

    Args:
        answer: what a student's process says of the model. It is a claim, and this part of it is for display only.
    """
    until = answer.get("until", answer) if isinstance(answer, Mapping) else None
    if not isinstance(until, Mapping):
        return None
    try:
        reader = _start_reader(until)
        *before, last = ((str(target), tuple(args), dict(kwargs)) for target, args, kwargs in until["nodes"])
        try:
            for target, args, kwargs in before:
                reader.read(target, args, kwargs)
        except TooLarge:
            return reader.stop()
        return reader.refuse(*last) if until is not answer else None
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
        return None
    except Unsupported:
        return None


def _start_reader(answer: Any) -> _Reader:
    """Check the sizes of a description, and return a reader for its nodes."""
    image = tuple(_number(n) for n in answer["image"])
    parameters = [tuple(_number(n) for n in shape) for _, shape, _ in answer["parameters"]]
    if math.prod(image) > _MAX_IMAGE:
        raise TooLarge("it is too large: it is made for images of more than a million numbers")
    if not image or len(answer["nodes"]) > _MAX_NODES or sum(map(math.prod, parameters)) > _MAX_PARAMETERS:
        raise TooLarge("it has far more operations or parameters than can be trained here: it is too large")
    return _Reader(image, parameters)


def read_graph(answer: Any) -> ExportedModel:
    """Return the model that `grader.models.export.export_graph` described.

    Raises:
        Unsupported: the description is malformed, or the model is too large, uses an operation that is not on the
            allow-list, or a tensor that is neither a parameter nor computed from the images.
    """
    if isinstance(answer, Mapping) and "reason" in answer:
        raise Unsupported(f"its forward pass is not a fixed sequence of operations: {str(answer['reason'])[:300]}")
    try:
        nodes = [(str(target), tuple(args), dict(kwargs)) for target, args, kwargs in answer["nodes"]]
        reader = _start_reader(answer)
        for target, args, kwargs in nodes:
            reader.read(target, args, kwargs)
        graph, order = canonicalise(reader.graph(answer["output"]))
        described = [(str(name)[:200], learnable is True) for name, _, learnable in answer["parameters"]]
        used = [described[index] for index in order]
        return ExportedModel(
            graph, tuple(name for name, _ in used), tuple(name for name, learnable in used if not learnable)
        )
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise Unsupported(f"its graph cannot be rebuilt: {error}") from None


class _Sizes:
    """Adds up the sizes of results, before any of them is computed."""

    def __init__(self, image: tuple[int, ...]) -> None:
        self._total = 0
        self.add("image", (1, *image))

    def add(self, operation: str, shape: tuple[int, ...]) -> None:
        """Add the result of an operation for a batch of images, (n, ...).

        Raises:
            TooLarge: all results together are too large.
        """
        self._total += math.prod(shape[1:])
        if self._total > _MAX_RESULTS:
            raise TooLarge(
                f"it is too large: its layers give more than {_MAX_RESULTS:,} numbers for one image, and {operation} "
                f"alone gives {'x'.join(map(str, shape[1:]))}; use smaller layers"
            )


def _number(value: Any) -> int:
    if type(value) is not int or not 0 < value <= _MAX_SIDE:
        raise Unsupported("its graph has an impossible size")
    return value


class _Reader:
    """Reads one node after the other and stores the shape of each result."""

    def __init__(self, image: tuple[int, ...], parameters: list[tuple[int, ...]]) -> None:
        self._image = image
        self._parameters = parameters
        self._nodes: list[Node] = []
        self._shapes: dict[int, tuple[int, ...]] = {IMAGE: (BATCH, *image)}
        self._sizes = _Sizes(image)
        self._values: list[Any] = []  # our node for each node that arrived, or None if it must not be used
        self._stale: dict[int, int] = {}  # nodes that were changed in place, and the nodes that replace them
        self._shared: dict[int, set[int]] = {}  # nodes that share memory

    def read(self, target: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Add the next node."""
        if target == "<built-in function getitem>":
            self._values.append(self._values[args[0]["node"]] if args[1] == 0 else None)
            return
        name, in_place = _plain_name(target)
        if name == "add" and set(args[0]) == {"buffer"}:
            self._values.append(None)  # the batch counter of a batch normalisation
            return
        if name not in TRANSLATIONS and name not in PASSED_ON:
            raise Unsupported(f"it uses {name}, which is not among the operations that are rebuilt")
        if name in PASSED_ON:
            self._values.append(self._tensor(args[0]))
            return
        overload = target.removeprefix("aten.").partition(".")[2]
        named = _name_arguments(target, args, kwargs)
        translation = TRANSLATIONS[name](self, overload, named)
        number = self._add(translation)
        if in_place:
            self._replace(self._tensor(args[0]), number)
        self._values.append(number)

    def refuse(self, target: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Forward | None:
        """Return the forward pass that ends with this node, which has no result; None if it cannot be told."""
        name, _ = _plain_name(target)
        translation = TRANSLATIONS[name](
            self, target.partition(".")[2].partition(".")[2], _name_arguments(target, args, kwargs)
        )
        if isinstance(translation, dict):
            return None
        inputs = tuple(self._tensor(reference) for reference in translation.inputs)
        parameters = tuple(reference["parameter"] for reference in translation.parameters)
        last = Node(translation.operation, inputs, parameters, sort_settings(translation.settings))
        return Forward(tuple(self._parameters), (*self._nodes, last), dict(self._shapes), is_open=True)

    def stop(self) -> Forward | None:
        """Return the forward pass up to the last node that was read, None if there is none."""
        return Forward(tuple(self._parameters), tuple(self._nodes), dict(self._shapes), is_open=True)

    def _tensor(self, reference: Any) -> int:
        """Return the node that a reference among the arguments stands for."""
        (kind, number), *_ = reference.items()
        if kind == "image":
            node: int | None = IMAGE
        elif kind == "node":
            node = self._values[number]
        else:
            raise Unsupported("it uses a buffer or a parameter where only images can be used")
        while node in self._stale:
            node = self._stale[node]
        if node is None:
            raise Unsupported("it uses a second result of an operation")
        return node

    def shape(self, reference: Any) -> tuple[int, ...]:
        """Return the shape of a tensor or parameter among the arguments; a tensor's first dimension is the batch."""
        if "parameter" in reference:
            return self._parameters[int(reference["parameter"])]
        return self._shapes[self._tensor(reference)]

    def _add(self, translation: Translation) -> int:
        if isinstance(translation, dict):  # the operation changes nothing
            return self._tensor(translation)
        inputs = tuple(self._tensor(reference) for reference in translation.inputs)
        parameters = tuple(reference["parameter"] for reference in translation.parameters)
        node = Node(translation.operation, inputs, parameters, sort_settings(translation.settings))
        shapes = tuple(self._shapes[source] for source in inputs)
        result = _shape_after(
            node.operation, node.settings, shapes, tuple(self._parameters[index] for index in parameters)
        )
        node = _normalise(node, shapes[0], result)
        if result[:1] != (BATCH,):
            raise Unsupported("it mixes images: the batch is no longer the first dimension")
        self._sizes.add(node.operation, result)
        self._nodes.append(node)
        number = len(self._nodes) - 1
        self._shapes[number] = result
        if node.operation in _SHAPE_ONLY:
            family = self._shared.setdefault(inputs[0], {inputs[0]})
            family.add(number)
            self._shared[number] = family
        return number

    def _replace(self, changed: int, number: int) -> None:
        if len(self._shared.get(changed, ())) > 1:
            raise Unsupported("it changes a tensor in place that it also uses in another shape")
        self._stale[changed] = number

    def graph(self, output: Any) -> Graph:
        """Return the graph that was read, with this output."""
        last = self._tensor(output)
        result = self._shapes[last]
        if last == IMAGE or len(result) < 2:
            raise Unsupported("it does not return a row of logits for each image")
        if len(result) > 2:
            self._nodes.append(Node("flatten", (last,)))
            last = len(self._nodes) - 1
        return Graph(self._image, tuple(self._parameters), (*self._nodes[: last + 1],))


def _plain_name(target: str) -> tuple[str, bool]:
    """Return an operation's name without its overload, and whether it changes its first argument in place."""
    if not target.startswith("aten."):
        raise Unsupported(f"it uses {target[:60]}, which is not an operation on tensors")
    name = target.removeprefix("aten.").partition(".")[0]
    return name.removesuffix("_"), name.endswith("_")


def _name_arguments(target: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return an operation's arguments by their names in torch's schema, including defaults."""
    _, name, overload = target.split(".")
    schema = getattr(getattr(torch.ops.aten, name), overload)._schema
    positional = {argument.name: value for argument, value in zip(schema.arguments, args, strict=False)}
    defaults = {argument.name: argument.default_value for argument in schema.arguments}
    return {**defaults, **positional, **kwargs}


@lru_cache(maxsize=4096)  # the models of a class have the same layers
def _shape_after(
    operation: str,
    settings: tuple[tuple[str, Any], ...],
    inputs: tuple[tuple[int, ...], ...],
    weights: tuple[tuple[int, ...], ...],
) -> tuple[int, ...]:
    """Return the shape of an operation's result, from the shapes of its inputs and parameters."""
    if operation == "batch_norm" and any(weight != inputs[0][1:2] for weight in weights):
        raise Unsupported("the parameters of a batch normalisation do not match the channels of its input")
    if operation in ("batch_norm", "dropout"):
        return inputs[0]
    sketches, parameters = ([torch.empty(shape, device="meta") for shape in shapes] for shapes in (inputs, weights))
    return tuple(OPERATIONS[operation](sketches, parameters, dict(settings)).shape)


def _normalise(node: Node, before: tuple[int, ...], result: tuple[int, ...]) -> Node:
    """Return the node that stands for all nodes that compute the same; `before` is the shape of its input."""
    if node.operation == "reshape" and len(before) > 2 and result == (before[0], math.prod(before[1:])):
        return Node("flatten", node.inputs)
    kind = {"avg_pool2d": "adaptive_avg_pool2d", "max_pool2d": "adaptive_max_pool2d"}.get(node.operation)
    if kind is not None and tuple(node.setting("kernel_size")) == before[2:]:
        padded = any(node.setting("padding"))
        if not padded and result[2:] == (1, 1):
            return Node(kind, node.inputs, (), (("output_size", (1, 1)),))
    return node


def _fit_weight(
    node: Node, weight: tuple[int, ...], before: tuple[int, ...], result: tuple[int, ...], after: tuple[int, ...]
) -> tuple[int, ...]:
    """Return the shape of a layer's weight for images of another size.

    Args:
        node: the layer.
        weight: the shape of its weight.
        before: the shape of its input.
        result: the shape of its result for that input.
        after: the shape of its input for images of the other size.
    """
    if node.operation == "conv2d":
        is_over_whole_map = weight[2:] == before[2:] and result[2:] == (1, 1) and not any(node.setting("padding"))
        return (*weight[:2], *after[2:]) if is_over_whole_map else weight
    if len(after) != 2:
        return weight
    return (weight[0], after[1]) if node.operation == "linear" else (after[1], weight[1])


def resize(graph: Graph, side: int) -> Graph:
    """Return the same architecture for square images of another size.

    A fully connected layer after the flattening takes the width of the smaller map, as a lazy layer would. A pooling or
    a convolution over the whole map stays one.

    Raises:
        Unsupported: a map would become smaller than the next layer needs.
        TooLarge: the results of its operations would be too large.
    """
    return _resize(graph, side)[0]


def resize_exported(exported: ExportedModel, side: int) -> ExportedModel:
    """Return the same model for square images of another size; see `resize`."""
    graph, order = _resize(exported.graph, side)
    return replace(exported, graph=graph, names=tuple(exported.names[number] for number in order))


def _resize(graph: Graph, side: int) -> tuple[Graph, tuple[int, ...]]:
    """Return a resized graph, and the number that each of its parameters had before."""
    image = (graph.image[0], side, side)
    sizes = _Sizes(image)
    shapes: dict[int, tuple[int, ...]] = {IMAGE: (BATCH, *image)}
    parameters, nodes = list(graph.parameters), list[Node]()
    before = dict(shapes) | {IMAGE: (BATCH, *graph.image)}
    for number, node in enumerate(graph.nodes):
        inputs, old = (tuple(of[source] for source in node.inputs) for of in (shapes, before))
        weights = tuple(graph.parameters[index] for index in node.parameters)
        before[number] = _shape_after(node.operation, node.settings, old, weights)
        if node.operation in ("conv2d", "linear", "matmul"):
            parameters[node.parameters[0]] = _fit_weight(node, weights[0], old[0], before[number], inputs[0])
        weights = tuple(parameters[index] for index in node.parameters)
        try:
            shapes[number] = _shape_after(node.operation, node.settings, inputs, weights)
        except (ArithmeticError, RuntimeError, ValueError) as error:
            raise Unsupported(f"it works for images of {graph.image[1]}x{graph.image[2]} only: {error}") from None
        sizes.add(node.operation, shapes[number])
        nodes.append(_normalise(node, inputs[0], shapes[number]))
    if len(shapes[len(graph.nodes) - 1]) != 2:
        raise Unsupported(f"it works for images of {graph.image[1]}x{graph.image[2]} only")
    return canonicalise(Graph(image, tuple(parameters), tuple(nodes)))

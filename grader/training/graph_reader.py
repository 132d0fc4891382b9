"""From what a student's process says of a model to a graph: an allow-list, bounds, and one form for what is the same.

Nothing that arrives is executed: each operation is looked up by name, its settings are checked, and shapes are worked
out here. Models that compute the same way give the same graph, however they are written: in-place operations, views,
the order of branches and of operands, `F.relu` or `nn.ReLU`, a pooling over the whole map by whichever name.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch

from grader.models.export import BATCH
from grader.training.graph import IMAGE, Graph, Node, TooLarge, Unsupported, sort_settings
from grader.training.network import OPERATIONS
from grader.training.translations import COMMUTATIVE, PASSED_ON, TRANSLATIONS, Translation

__all__ = ["ExportedModel", "canonicalise", "read_graph", "resize"]

_MAX_NODES = 2000
_MAX_PARAMETERS = 300_000_000
_MAX_SIDE = 1_000_000_000  # of a tensor
_SHAPE_ONLY = {"flatten", "reshape", "permute"}


@dataclass(frozen=True)
class ExportedModel:
    """A model's graph, and what the model calls its parameters, in the graph's order.

    `frozen` are those of them that training would leave as they are.
    """

    graph: Graph
    names: tuple[str, ...]
    frozen: tuple[str, ...]


def read_graph(answer: Any) -> ExportedModel:
    """Return what `grader.models.export.export_graph` told of.

    Raises:
        Unsupported: it is malformed, too large, uses an operation that is not on the allow-list, or a tensor that is
            neither a parameter nor made from the images.
    """
    if isinstance(answer, Mapping) and "reason" in answer:
        raise Unsupported(f"its forward pass is no plain row of operations: {str(answer['reason'])[:300]}")
    try:
        image = tuple(_number(n) for n in answer["image"])
        parameters = [tuple(_number(n) for n in shape) for _, shape, _ in answer["parameters"]]
        nodes = [(str(target), tuple(args), dict(kwargs)) for target, args, kwargs in answer["nodes"]]
        if len(image) != 3 or len(nodes) > _MAX_NODES or sum(map(math.prod, parameters)) > _MAX_PARAMETERS:
            raise TooLarge("it has far more operations or parameters than can be trained here: it is too large")
        reader = _Reader(image, parameters)
        for target, args, kwargs in nodes:
            reader.read(target, args, kwargs)
        graph, order = canonicalise(reader.graph(answer["output"]))
        told = [(str(name)[:200], learnable is True) for name, _, learnable in answer["parameters"]]
        return ExportedModel(
            graph, tuple(told[each][0] for each in order), tuple(told[each][0] for each in order if not told[each][1])
        )
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise Unsupported(f"its graph cannot be rebuilt: {error}") from None


def _number(value: Any) -> int:
    if type(value) is not int or not 0 < value <= _MAX_SIDE:
        raise Unsupported("its graph has a size that no tensor has")
    return value


class _Reader:
    """Reads one node after the other and keeps the shape of each result."""

    def __init__(self, image: tuple[int, ...], parameters: list[tuple[int, ...]]) -> None:
        self._image = image
        self._parameters = parameters
        self._nodes: list[Node] = []
        self._shapes: dict[int, tuple[int, ...]] = {IMAGE: (BATCH, *image)}
        self._values: list[Any] = []  # of each node as it arrived: what stands for it, or None for what nobody may use
        self._stale: dict[int, int] = {}  # nodes that were changed in place, and what stands for them now
        self._shared: dict[int, set[int]] = {}  # nodes that share memory

    def read(self, target: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Take in the next node."""
        if target == "<built-in function getitem>":
            self._values.append(self._values[args[0]["node"]] if args[1] == 0 else None)
            return
        name, in_place = _plain_name(target)
        if name == "add" and set(args[0]) == {"buffer"}:
            self._values.append(None)  # a batch normalisation counts its batches
            return
        if name not in TRANSLATIONS and name not in PASSED_ON:
            raise Unsupported(f"it uses {name}, which is not among the operations that are rebuilt")
        if name in PASSED_ON:
            self._values.append(self._tensor(args[0]))
            return
        overload = target.removeprefix("aten.").partition(".")[2]
        named = _by_name(target, args, kwargs)
        translation = TRANSLATIONS[name](self, overload, named)
        number = self._add(translation)
        if in_place:
            self._replace(self._tensor(args[0]), number)
        self._values.append(number)

    def _tensor(self, reference: Any) -> int:
        """Return the node that a reference among arguments stands for."""
        (kind, number), *_ = reference.items()
        if kind == "image":
            found: int | None = IMAGE
        elif kind == "node":
            found = self._values[number]
        else:
            raise Unsupported("it computes with a buffer or a parameter where only images may stand")
        while found in self._stale:
            found = self._stale[found]
        if found is None:
            raise Unsupported("it uses a second result of an operation")
        return found

    def shape(self, reference: Any) -> tuple[int, ...]:
        """Return the shape of a tensor among the arguments, the batch first; a parameter's is its own."""
        if "parameter" in reference:
            return self._parameters[int(reference["parameter"])]
        return self._shapes[self._tensor(reference)]

    def _add(self, translation: Translation) -> int:
        if isinstance(translation, dict):  # it changes nothing
            return self._tensor(translation)
        inputs = tuple(self._tensor(each) for each in translation.inputs)
        parameters = tuple(each["parameter"] for each in translation.parameters)
        node = Node(translation.operation, inputs, parameters, sort_settings(translation.settings))
        given = tuple(self._shapes[each] for each in inputs)
        result = _shape_after(
            node.operation, node.settings, given, tuple(self._parameters[each] for each in parameters)
        )
        node = _one_form(node, given[0], result)
        if result[:1] != (BATCH,):
            raise Unsupported("its images do not stay apart: the batch is no longer the first dimension")
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
            raise Unsupported("it changes in place what it also uses in another shape")
        self._stale[changed] = number

    def graph(self, output: Any) -> Graph:
        """Return what was read, up to this output."""
        last = self._tensor(output)
        result = self._shapes[last]
        if last == IMAGE or len(result) < 2:
            raise Unsupported("it gives no row of logits for each image")
        if len(result) > 2:
            self._nodes.append(Node("flatten", (last,)))
            last = len(self._nodes) - 1
        return Graph(self._image, tuple(self._parameters), (*self._nodes[: last + 1],))


def _plain_name(target: str) -> tuple[str, bool]:
    """Return an operation's name without its overload, and whether it changes its first argument in place."""
    if not target.startswith("aten."):
        raise Unsupported(f"it uses {target[:60]}, which is no operation on tensors")
    name = target.removeprefix("aten.").partition(".")[0]
    return name.removesuffix("_"), name.endswith("_")


def _by_name(target: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return an operation's arguments by the names that torch's schema gives them, defaults filled in."""
    _, name, overload = target.split(".")
    schema = getattr(getattr(torch.ops.aten, name), overload)._schema
    given = {argument.name: value for argument, value in zip(schema.arguments, args, strict=False)}
    named = {argument.name: argument.default_value for argument in schema.arguments}
    return {**named, **given, **kwargs}


@lru_cache(maxsize=4096)  # one class's models are made of the same layers
def _shape_after(
    operation: str,
    settings: tuple[tuple[str, Any], ...],
    inputs: tuple[tuple[int, ...], ...],
    weights: tuple[tuple[int, ...], ...],
) -> tuple[int, ...]:
    """Return the shape of what an operation gives, from those of what it is given."""
    if operation == "batch_norm" and any(weight != inputs[0][1:2] for weight in weights):
        raise Unsupported("a batch normalisation has parameters of another size than its input has channels")
    if operation in ("batch_norm", "dropout"):
        return inputs[0]
    sketches, parameters = ([torch.empty(shape, device="meta") for shape in shapes] for shapes in (inputs, weights))
    return tuple(OPERATIONS[operation](sketches, parameters, dict(settings)).shape)


def _one_form(node: Node, given: tuple[int, ...], result: tuple[int, ...]) -> Node:
    """Return the node in the form in which all nodes stand that do the same."""
    if node.operation == "reshape" and len(given) > 2 and result == (given[0], math.prod(given[1:])):
        return Node("flatten", node.inputs)
    kind = {"avg_pool2d": "adaptive_avg_pool2d", "max_pool2d": "adaptive_max_pool2d"}.get(node.operation)
    if kind is not None and tuple(node.setting("kernel_size")) == given[2:]:
        padded = any(node.setting("padding"))
        if not padded and result[2:] == (1, 1):
            return Node(kind, node.inputs, (), (("output_size", (1, 1)),))
    return node


def canonicalise(graph: Graph) -> tuple[Graph, tuple[int, ...]]:
    """Return the graph without what its output does not need, in an order that depends only on what is computed.

    With it comes the number that each of its parameters had before.
    """
    digests: list[str] = []
    for node in graph.nodes:
        before = [digests[each] if each != IMAGE else "image" for each in node.inputs]
        if node.operation in COMMUTATIVE:
            before.sort()
        shapes = [graph.parameters[each] for each in node.parameters]
        text = repr((node.operation, before, shapes, node.settings))
        digests.append(hashlib.sha256(text.encode()).hexdigest())
    order: list[int] = []
    numbers: dict[int, int] = {IMAGE: IMAGE}
    # Each entry is a node and whether all before it has been placed: depth first, without recursion.
    pending = [(len(graph.nodes) - 1, False)]
    while pending:
        number, ready = pending.pop()
        if number in numbers:
            continue
        if ready:
            numbers[number] = len(order)
            order.append(number)
            continue
        pending.append((number, True))
        pending += [(each, False) for each in reversed(_ordered(graph.nodes[number], digests))]
    parameters: dict[int, int] = {}
    nodes = []
    for number in order:
        node = graph.nodes[number]
        used = tuple(parameters.setdefault(each, len(parameters)) for each in node.parameters)
        placed = tuple(numbers[each] for each in _ordered(node, digests))
        nodes.append(replace(node, inputs=placed, parameters=used))
    return Graph(graph.image, tuple(graph.parameters[each] for each in parameters), tuple(nodes)), tuple(parameters)


def _ordered(node: Node, digests: list[str]) -> tuple[int, ...]:
    if node.operation not in COMMUTATIVE:
        return node.inputs
    return tuple(sorted(node.inputs, key=lambda each: digests[each] if each != IMAGE else ""))


def resize(graph: Graph, side: int) -> Graph:
    """Return the same architecture for square images of another size.

    A fully connected layer after the flattening takes the width that the smaller map has, as a lazy layer would; a
    pooling over the whole map stays one.

    Raises:
        Unsupported: some map would become smaller than the layer after it needs.
    """
    image = (graph.image[0], side, side)
    shapes: dict[int, tuple[int, ...]] = {IMAGE: (BATCH, *image)}
    parameters, nodes = list(graph.parameters), list[Node]()
    for number, node in enumerate(graph.nodes):
        inputs = tuple(shapes[each] for each in node.inputs)
        if node.operation == "linear" and len(inputs[0]) == 2:
            wide = node.parameters[0]
            parameters[wide] = (parameters[wide][0], inputs[0][1])
        weights = tuple(parameters[each] for each in node.parameters)
        try:
            shapes[number] = _shape_after(node.operation, node.settings, inputs, weights)
        except (ArithmeticError, RuntimeError, ValueError) as error:
            raise Unsupported(f"it works for images of {graph.image[1]}x{graph.image[2]} only: {error}") from None
        nodes.append(_one_form(node, inputs[0], shapes[number]))
    if len(shapes[len(graph.nodes) - 1]) != 2:
        raise Unsupported(f"it works for images of {graph.image[1]}x{graph.image[2]} only")
    return canonicalise(Graph(image, tuple(parameters), tuple(nodes)))[0]

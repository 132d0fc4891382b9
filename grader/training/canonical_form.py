"""The canonical form of a graph: models that compute the same in another order give the same graph."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from grader.training.graph import IMAGE, Graph, Node
from grader.training.translations import COMMUTATIVE

__all__ = ["canonicalise"]


def canonicalise(graph: Graph) -> tuple[Graph, tuple[int, ...]]:
    """Return the graph without nodes that its output does not need, in an order that depends only on what is computed.

    Also return the number that each of its parameters had before.
    """
    digests: list[str] = []
    for node in graph.nodes:
        before = [digests[source] if source != IMAGE else "image" for source in node.inputs]
        if node.operation in COMMUTATIVE:
            before.sort()
        shapes = [graph.parameters[index] for index in node.parameters]
        text = repr((node.operation, before, shapes, node.settings))
        digests.append(hashlib.sha256(text.encode()).hexdigest())
    order: list[int] = []
    numbers: dict[int, int] = {IMAGE: IMAGE}
    # Each entry is a node and whether its inputs have been placed: depth first, without recursion.
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
        pending += [(source, False) for source in reversed(_sort_inputs(graph.nodes[number], digests))]
    parameters: dict[int, int] = {}
    nodes = []
    for number in order:
        node = graph.nodes[number]
        used = tuple(parameters.setdefault(index, len(parameters)) for index in node.parameters)
        placed = tuple(numbers[source] for source in _sort_inputs(node, digests))
        nodes.append(replace(node, inputs=placed, parameters=used))
    return Graph(graph.image, tuple(graph.parameters[index] for index in parameters), tuple(nodes)), tuple(parameters)


def _sort_inputs(node: Node, digests: list[str]) -> tuple[int, ...]:
    if node.operation not in COMMUTATIVE:
        return node.inputs
    return tuple(sorted(node.inputs, key=lambda source: digests[source] if source != IMAGE else ""))

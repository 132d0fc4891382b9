"""How a student's model differs from the textbook's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache

import torch
from torch import nn

from grader.models.export import export_graph
from grader.models.probe import DEPARTURES, find_departure
from grader.training.differences import find_differences, summarise
from grader.training.graph import Graph, TooLarge, Unsupported
from grader.training.graph_reader import follow, read_graph, resize
from grader.training.probing import probe_graph

__all__ = ["describe_departure", "make_graph"]

_NAMES = {
    "add": "additions of a shortcut",
    "batch_norm": "batch normalisations",
    "conv2d": "convolutions",
    "linear": "fully connected layers",
    "dropout": "dropouts",
    "relu": "ReLUs",
    "sigmoid": "sigmoids",
    "softmax": "softmaxes",
    "max_pool2d": "maximum poolings",
    "avg_pool2d": "average poolings",
    "adaptive_avg_pool2d": "poolings over the whole map",
}
_PROBED_IMAGES = 4
_SIDE = 32  # of the compared images, if the models allow it


@lru_cache(maxsize=64)
def make_graph(make: Callable[[], nn.Module], image: tuple[int, ...]) -> Graph:
    """Return the graph of one of our own models for images of this shape, (c, h, w)."""
    with torch.device("meta"):
        model = make()
    return read_graph(export_graph(model, image)).graph


def describe_departure(graph: Graph, books: Sequence[Callable[[], nn.Module]]) -> str:
    """Describe how a model departs from the textbook's nearest model. Return "" if both compute the same.

    Args:
        graph: the student's model.
        books: make the textbook's models.
    """
    textbooks = [make_graph(make, graph.image) for make in books]
    if not textbooks or graph.key in {textbook.key for textbook in textbooks}:
        return ""
    forward = follow(graph)
    compared = [find_differences(forward, follow(textbook)) for textbook in textbooks]
    if all(compared):
        return summarise(min(compared, key=len))
    counts = _count(graph)
    nearest = min(textbooks, key=lambda textbook: _distance(_count(textbook), counts))
    expected = _count(nearest)
    if counts != expected:
        names = [name for name in sorted(expected.keys() | counts.keys()) if counts[name] != expected[name]]
        return ", ".join(
            f"{_NAMES.get(name, name)}: {counts[name]} (the book's has {expected[name]})" for name in names[:3]
        )
    if graph.count("matmul"):
        return ""  # its weights lie the other way round
    if graph.parameters != nearest.parameters:
        reordered = sorted(graph.parameters) == sorted(nearest.parameters)
        return "its layers are put together in another way" if reordered else "some layers have weights of other shapes"
    graph, nearest = _make_smaller(graph, nearest)
    images = torch.randn(_PROBED_IMAGES, *graph.image, generator=torch.Generator().manual_seed(0))
    try:
        student, book = (probe_graph(model, images, 0) for model in (graph, nearest))
    except TooLarge:
        return "it takes too much memory or time to be compared with the book's"
    departs = find_departure(student, book)
    return f"with the same weights as the book's, {DEPARTURES[departs]}" if departs else ""


def _make_smaller(graph: Graph, nearest: Graph) -> tuple[Graph, Graph]:
    """Return both models for smaller images if both allow it: on images of 224x224 a VGG takes gigabytes."""
    if graph.image[-1] > _SIDE:
        with suppress(Unsupported):
            return resize(graph, _SIDE), resize(nearest, _SIDE)
    return graph, nearest


def _count(graph: Graph) -> Counter[str]:
    """Count the operations. A fully connected layer may be written as a product and the addition of a bias."""
    names = {"matmul": "linear"}
    return Counter(
        names.get(node.operation, node.operation)
        for node in graph.nodes
        if not (node.operation == "add" and node.parameters)
    )


def _distance(first: Counter[str], second: Counter[str]) -> int:
    return sum((first - second).values()) + sum((second - first).values())

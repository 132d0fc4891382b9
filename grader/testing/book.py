"""How a trained model differs from the textbook's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import nn

from grader.models.export import export_graph
from grader.models.probe import DEPARTURES, find_departure, probe
from grader.student import Remote, StudentFault
from grader.training.graph import Graph, Unsupported
from grader.training.graph_reader import read_graph
from grader.training.network import Network

__all__ = ["describe_departure", "make_graph", "remark_on"]

_CALLED = {
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
_IMAGES_OF_PROBE = 4


@lru_cache(maxsize=64)
def make_graph(make: Callable[[], nn.Module], image: tuple[int, ...]) -> Graph:
    """Return the graph of a model of our own for images of this shape."""
    with torch.device("meta"):
        model = make()
    return read_graph(export_graph(model, image)).graph


def describe_departure(graph: Graph, books: Sequence[Callable[[], nn.Module]]) -> str:
    """Say where a model departs from the textbook's model that is nearest to it, "" where it computes the same."""
    ours = [make_graph(make, graph.image) for make in books]
    if not ours or graph.key in {each.key for each in ours}:
        return ""
    counts = Counter(node.operation for node in graph.nodes)
    nearest = min(ours, key=lambda each: sum((_count(each) - counts).values()) + sum((counts - _count(each)).values()))
    wanted = _count(nearest)
    if counts != wanted:
        names = [name for name in sorted(wanted.keys() | counts.keys()) if counts[name] != wanted[name]]
        return ", ".join(
            f"{_CALLED.get(name, name)}: {counts[name]} (the book's has {wanted[name]})" for name in names[:3]
        )
    if graph.parameters != nearest.parameters:
        same = sorted(graph.parameters) == sorted(nearest.parameters)
        return "its layers are put together in another way" if same else "some layers have weights of other shapes"
    images = torch.randn(_IMAGES_OF_PROBE, *graph.image, generator=torch.Generator().manual_seed(0))
    networks = [Network(each) for each in (graph, nearest)]
    found, right = (probe(network, network.names, images, 0) for network in networks)
    departs = find_departure(found, right)
    return f"with the same weights as the book's, {DEPARTURES[departs]}" if departs else ""


def _count(graph: Graph) -> Counter[str]:
    return Counter(node.operation for node in graph.nodes)


def remark_on(
    remark: Callable[[str], None], model: Remote, image: tuple[int, ...], books: Sequence[Callable[[], nn.Module]]
) -> None:
    """Say of a model whose item does not ask for it where it departs from the textbook's.

    Args:
        remark: the test's fixture.
        model: the student's.
        image: the shape of one image, (c, h, w).
        books: make the textbook's models.
    """
    try:
        departs = describe_departure(read_graph(model.graph(image)).graph, books)
    except (StudentFault, Unsupported):
        return  # what cannot be compared is no mistake
    if departs:
        remark(f"it is not the book's model: {departs}")

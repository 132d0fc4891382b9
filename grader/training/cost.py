"""The cost of a training, computed from its graph alone, so that no verdict depends on the speed of a machine."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from grader.models.fit import IMAGES_AT_ONCE
from grader.models.recipe import Recipe
from grader.training.graph import Graph, Node
from grader.training.network import Network

__all__ = ["count_teraflops", "estimate_memory", "is_small", "largest_estimate", "limit_of_memory"]

_BYTES = 4  # of a number in float32
_MOST_OVER_ESTIMATE = 2  # a training may take twice as much memory as is estimated
_MEMORY_OF_DATA = 2**30  # for torch's own buffers and the data set
_SMALL_STEP = 0.005  # 10**12 operations: a GPU takes longer to start such a step than to compute it


def count_teraflops(graph: Graph, recipe: Recipe) -> float:
    """Return the floating-point operations of a training's convolutions and matrix products, in units of 10**12.

    A backward pass counts as two forward passes, and an optimiser step as ten operations for each parameter.
    """
    # Imported here because it loads Triton, which takes as long as grading a submission.
    from torch.utils.flop_counter import FlopCounterMode

    network = Network(graph, "meta").eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.empty(2, *graph.image, device="meta"))
    images = recipe.images * recipe.epochs
    weights = sum(weight.numel() for weight in network.weights)
    forward: int = counter.get_total_flops() // 2
    operations = float(3 * forward * images + 10 * weights * images / recipe.batch)
    return operations / 1e12


def is_small(graph: Graph, recipe: Recipe) -> bool:
    """Return whether a training's steps leave most of a GPU idle, as LeNet's do."""
    steps = recipe.epochs * math.ceil(recipe.images / recipe.batch)
    return count_teraflops(graph, recipe) / steps < _SMALL_STEP


def estimate_memory(graph: Graph, recipe: Recipe) -> int:
    """Estimate the bytes that a training takes at its peak.

    A forward pass in training keeps the results of all operations. Afterwards, the classes of many images are predicted
    at once, with the largest result and the one before it. A weight has a gradient and two moments of Adam.
    """
    network = _Measured(graph, "meta").train()
    with torch.no_grad():
        network(torch.empty(2, *graph.image, device="meta"))
    weights = 4 * sum(weight.numel() for weight in network.weights)
    results = max(recipe.batch * sum(network.sizes), IMAGES_AT_ONCE * 2 * max(network.sizes, default=0))
    return int(_BYTES * (weights + results))


def limit_of_memory(graph: Graph, recipe: Recipe) -> int:
    """Return how many bytes a training may take."""
    return _MOST_OVER_ESTIMATE * estimate_memory(graph, recipe) + _MEMORY_OF_DATA


def largest_estimate(memory: int) -> int:
    """Return the largest estimate with which a training may still run on a device with this much memory."""
    return max(0, (memory - _MEMORY_OF_DATA) // _MOST_OVER_ESTIMATE)


class _Measured(Network):
    """Notes how many numbers each operation gives for one image."""

    def __init__(self, graph: Graph, device: str) -> None:
        super().__init__(graph, device)
        self.sizes: list[int] = []

    def _compute(self, number: int, node: Node, inputs: list[Tensor], parameters: list[Tensor]) -> Tensor:
        result = super()._compute(number, node, inputs, parameters)
        self.sizes.append(result[0].numel())
        return result

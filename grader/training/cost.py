"""The cost of a training, computed from its graph alone, so that no verdict depends on the speed of a machine."""

from __future__ import annotations

import torch

from grader.models.recipe import Recipe
from grader.training.graph import Graph
from grader.training.network import Network

__all__ = ["count_teraflops"]


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

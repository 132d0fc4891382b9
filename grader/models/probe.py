"""What a model computes with fixed random weights: two models that compute the same are the same, however written.

It runs where the model lives. With weights and images that only the trusted side chooses, it shows whether a graph
describes the student's model, and whether a student's model equals the textbook's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from grader.models.modules import NORMALISATIONS

__all__ = ["DEPARTURES", "find_departure", "probe"]

# What is compared, in the order in which it is reported, and what a departure means.
DEPARTURES = {
    "eval": "its outputs in eval mode differ",
    "train": "its outputs in train mode differ",
    "gradients": "its gradients differ",
    "statistics": "its batch normalisations' running statistics differ",
}
_TOLERANCE = 2e-3


def probe(module: nn.Module, names: Sequence[str], images: Tensor, seed: int) -> dict[str, Tensor]:
    """Return what a module computes after its parameters are filled with random numbers.

    Args:
        module: maps images to logits. Its parameters and statistics are overwritten.
        names: of the module's parameters, in an order that both sides agree on.
        images: (n, c, h, w).
        seed: of the numbers, and of what dropout drops.

    Returns:
        `eval` and `train`: the logits in each mode, (n, classes). `gradients`: for each parameter the norm and a random
        projection of the gradient, (parameters, 2). `statistics`: the norms of the running means and variances, sorted,
        (statistics,). All are float64.
    """
    images = images.to(next(module.parameters()).dtype) if names else images
    if any(isinstance(parameter, nn.parameter.UninitializedParameter) for parameter in module.parameters()):
        with torch.no_grad():
            module(images)
    named = dict(module.named_parameters())
    parameters = [named[name] for name in names]
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in parameters:
            parameter.copy_(_draw_numbers(tuple(parameter.shape), generator))
    for part in module.modules():
        if isinstance(part, NORMALISATIONS):
            part.reset_running_stats()
    module.zero_grad()
    module.eval()
    torch.manual_seed(seed)  # dropout may drop here, too
    with torch.no_grad():
        in_eval = module(images)
    module.train()
    torch.manual_seed(seed)
    with torch.enable_grad():
        in_train = module(images)
        cotangent = torch.randn(in_train.shape, generator=generator, dtype=torch.float32).to(in_train.dtype)
        if in_train.requires_grad:
            (in_train * cotangent).sum().backward()
    running = [value for name, value in module.named_buffers() if value.dim() == 1 and value.is_floating_point()]
    return {
        "eval": in_eval.double(),
        "train": in_train.detach().double(),
        "gradients": _summarise([parameter.grad for parameter in parameters], generator),
        "statistics": torch.stack([value.double().norm() for value in running]).sort().values
        if running
        else torch.zeros(0, dtype=torch.float64),
    }


def _draw_numbers(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Draw weights that keep the scale of activations, and biases and scales that matter."""
    # Not the default dtype: a student may have set it to float64, which draws other numbers.
    drawn = torch.empty(shape, dtype=torch.float32).uniform_(-1, 1, generator=generator)
    if len(shape) > 1:
        return drawn * math.sqrt(6 / math.prod(shape[1:]))
    return drawn * 0.5 + 0.6


def _summarise(gradients: Sequence[Tensor | None], generator: torch.Generator) -> Tensor:
    rows = []
    for gradient in gradients:
        if gradient is None:
            rows.append(torch.zeros(2, dtype=torch.float64))
            continue
        # One random number for each output channel: a projection that depends on where the gradient is large.
        weights = torch.randn(gradient.shape[:1], generator=generator, dtype=torch.float32).double()
        sums = gradient.flatten(1).sum(1, dtype=torch.float64) if gradient.dim() > 1 else gradient.double()
        rows.append(torch.stack([torch.linalg.vector_norm(gradient, dtype=torch.float64), (weights * sums).sum()]))
    return torch.stack(rows) if rows else torch.zeros(0, 2, dtype=torch.float64)


def find_departure(computed: Mapping[str, Any], expected: Mapping[str, Tensor]) -> str | None:
    """Return the first of the `DEPARTURES`, or None if both models computed the same.

    Policy: shapes are equal; each number agrees within 0.2 % of the largest of its kind, because sums may be computed
    in another order; NaN equals NaN only.
    """
    for kind in DEPARTURES:
        right, other = expected[kind], computed.get(kind)
        if not isinstance(other, Tensor) or other.shape != right.shape or other.dtype != right.dtype:
            return kind
        largest = float(right[right.isfinite()].abs().max()) if right.isfinite().any() else 0.0
        if not torch.allclose(other, right, rtol=_TOLERANCE, atol=_TOLERANCE * largest, equal_nan=True):
            return kind
    return None

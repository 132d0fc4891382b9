"""What a model computes with fixed random weights: two models that compute the same are the same, however written.

It runs where the model lives. With weights and images that only the asking side chose, it shows whether a graph is that
of the student's model, and whether a student's model is the textbook's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["DEPARTURES", "find_departure", "probe"]

# What is compared, in the order in which it is told, with what a departure there usually means.
DEPARTURES = {
    "eval": "its outputs in eval mode differ",
    "train": "its outputs in train mode differ",
    "gradients": "its gradients differ",
    "statistics": "its batch normalisations' running statistics differ",
}
_TOLERANCE = 2e-3


def probe(module: nn.Module, names: Sequence[str], images: Tensor, seed: int) -> dict[str, Tensor]:
    """Return what a module computes once its parameters are filled with numbers drawn from a seed.

    Args:
        module: maps images to logits; its parameters and statistics are overwritten.
        names: of the module's parameters, in an order that both sides agree on.
        images: (n, c, h, w).
        seed: what the numbers, and what dropout drops, are drawn from.

    Returns:
        `eval` and `train`, the logits in each mode, (n, classes); `gradients`, for each parameter the norm and a random
        projection of the gradient, (parameters, 2); `statistics`, the same of each running mean and variance. All of
        them float64.
    """
    images = images.to(next(module.parameters()).dtype) if names else images
    if any(isinstance(each, nn.parameter.UninitializedParameter) for each in module.parameters()):
        with torch.no_grad():
            module(images)
    named = dict(module.named_parameters())
    parameters = [named[name] for name in names]
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in parameters:
            parameter.copy_(_numbers(tuple(parameter.shape), generator))
    for each in module.modules():
        if isinstance(each, nn.modules.batchnorm._NormBase):
            each.reset_running_stats()
    module.zero_grad()
    module.eval()
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
        "gradients": _summaries([each.grad for each in parameters], generator),
        "statistics": torch.stack([value.double().norm() for value in running]).sort().values
        if running
        else torch.zeros(0, dtype=torch.float64),
    }


def _numbers(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Draw weights that keep the size of what passes through them, and biases and scales that matter."""
    # Not the default dtype: a student may have made that float64, and other numbers would be drawn.
    drawn = torch.empty(shape, dtype=torch.float32).uniform_(-1, 1, generator=generator)
    if len(shape) > 1:
        return drawn * math.sqrt(6 / math.prod(shape[1:]))
    return drawn * 0.5 + 0.6


def _summaries(gradients: Sequence[Tensor | None], generator: torch.Generator) -> Tensor:
    rows = []
    for gradient in gradients:
        if gradient is None:
            rows.append(torch.zeros(2, dtype=torch.float64))
            continue
        # One random number for each output channel: a projection that sees where a gradient lies.
        weights = torch.randn(gradient.shape[:1], generator=generator, dtype=torch.float32).double()
        sums = gradient.flatten(1).sum(1, dtype=torch.float64) if gradient.dim() > 1 else gradient.double()
        rows.append(torch.stack([torch.linalg.vector_norm(gradient, dtype=torch.float64), (weights * sums).sum()]))
    return torch.stack(rows) if rows else torch.zeros(0, 2, dtype=torch.float64)


def find_departure(found: Mapping[str, Any], expected: Mapping[str, Tensor]) -> str | None:
    """Return which of the `DEPARTURES` comes first, None where both computed the same.

    Policy: shapes are equal; each number agrees within 0.2 % of the largest of its kind, because sums are taken in
    other orders; NaN agrees with NaN only.
    """
    for kind in DEPARTURES:
        right, other = expected[kind], found.get(kind)
        if not isinstance(other, Tensor) or other.shape != right.shape or other.dtype != right.dtype:
            return kind
        largest = float(right[right.isfinite()].abs().max()) if right.isfinite().any() else 0.0
        if not torch.allclose(other, right, rtol=_TOLERANCE, atol=_TOLERANCE * largest, equal_nan=True):
            return kind
    return None

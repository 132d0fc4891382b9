"""Find out how gradient descent on squared errors of a linear model went wrong, from where it ended.

The model's last weights and their gradient tell how the last step was made: the gradient of squared errors is linear in
the weights, so the weights before the step follow from it. Everything is computed in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

__all__ = ["Descent", "DescentKind", "find_descent"]

_CLOSE = 0.02  # relative, of a loss's factor
_ALIKE = 3e-4  # relative, of what summed gradients lead to
_NOISE = 1e-6  # relative, of weights in float32
_RATES = tuple(digit * 10.0**-power for power in range(1, 5) for digit in range(1, 10))
_MOST_STEPS = 100
_STILL = 1e-7  # a learning rate
_FAR = 100.0  # an error that nothing begins with and that no descent leads to


class DescentKind(StrEnum):
    """How the steps of a gradient descent went."""

    STILL = "still"  # gradients were computed, and no step was made
    UPHILL = "uphill"  # the gradient was added
    OVERSHOOTS = "overshoots"  # the steps are so long that the loss grows
    SUMS = "sums"  # the gradients of all steps were added up
    DESCENDS = "descends"  # it leads to the minimum, given enough steps


@dataclass(frozen=True)
class Descent:
    """How a gradient descent went.

    Attributes:
        kind: how its steps went.
        rate: its learning rate.
        factor: by what the sum of the squared errors was multiplied to make the loss: 1, or 1/n for their mean.
    """

    kind: DescentKind
    rate: float
    factor: float = 1.0


def find_descent(features: Tensor, error: Tensor, gradient: Tensor) -> Descent | None:
    """Return how the steps went, or None if no such descent ends so.

    Args:
        features: what each weight is multiplied with to give each output, (outputs, weights).
        error: the last weights minus those that the targets were made with, (weights,).
        gradient: the gradient of the last step, (weights,).
    """
    features, error, gradient = features.double(), error.double(), gradient.double()
    if not bool(error.isfinite().all() and gradient.isfinite().all()) or not bool(gradient.any()):
        return None
    curvature = 2 * features.T @ features
    values, vectors = torch.linalg.eigh(curvature)
    error, gradient = vectors.T @ error, vectors.T @ gradient
    factors = (1.0, 0.5, 1 / len(features), 0.5 / len(features))
    return _find_last_step(values, error, gradient, factors) or _find_sums(values, error, gradient, factors)


def _find_last_step(values: Tensor, error: Tensor, gradient: Tensor, factors: Sequence[float]) -> Descent | None:
    """Return a step that was made with the gradient at the weights before it."""
    found = []
    for factor in factors:
        before = gradient / (factor * values)  # minus the right weights
        rate = float((before - error) @ gradient / (gradient @ gradient))
        missed = (before - rate * gradient - error).abs()
        # Each direction has digits of its own: the largest may be a million times the smallest.
        if bool((missed <= _CLOSE * (before.abs() + (rate * gradient).abs()) + _find_noise(error)).all()):
            kind = _classify(rate, rate * factor * float(values.max()))
            if kind is not DescentKind.DESCENDS or float(error.abs().max()) < _FAR:
                found.append(Descent(kind, abs(rate), factor))
    return found[0] if len({descent.kind for descent in found}) == 1 else None


def _classify(rate: float, reach: float) -> DescentKind:
    if abs(rate) < _STILL:
        return DescentKind.STILL
    if rate < 0:
        return DescentKind.UPHILL
    return DescentKind.OVERSHOOTS if reach > 2 else DescentKind.DESCENDS


def _find_noise(error: Tensor) -> float:
    return _NOISE * max(1.0, float(error.abs().max()))


def _find_sums(values: Tensor, error: Tensor, gradient: Tensor, factors: Sequence[float]) -> Descent | None:
    """Return a descent with a usual learning rate in which no gradient was ever cleared."""
    told = error.abs() > 100 * _find_noise(error)
    if int(told.sum()) < 2:
        return None  # one direction alone fits many rates and numbers of steps
    values, error, gradient = values[told], error[told], gradient[told]
    rates = torch.tensor(_RATES, dtype=torch.float64)[:, None]
    for factor in factors:
        reach = rates * factor * values  # (rates, weights)
        left, summed = torch.ones_like(reach), torch.zeros_like(reach)
        for _ in range(_MOST_STEPS):
            summed = summed + reach * left
            left = left - summed
            one, other = left * rates * gradient, summed * error
            alike = ((one - other).abs() <= _ALIKE * (one.abs() + other.abs())).all(1)
            if bool(alike.any()):
                return Descent(DescentKind.SUMS, float(rates[alike.nonzero()[0]]), factor)
    return None

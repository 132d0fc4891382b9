"""What a training loop did, in numbers: a model's gradients, updates and losses compared with the reference rule.

The reference rule of classification is: gradients of the mean cross-entropy of the model's own output, starting from
zero. Its gradients are computed through the graph of the student's own forward pass: only the backward pass runs twice,
no random number is drawn, and no statistic changes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

__all__ = [
    "BY_HAND",
    "ForwardPass",
    "LossCall",
    "OptimiserStep",
    "Trajectory",
    "compute_reference_gradients",
    "measure_agreement",
    "measure_step",
]

BY_HAND = "by hand"  # the optimiser's name if a loop changes the parameters itself
_VIEWS = ("View", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Clone", "ToCopy", "Alias")
_MAX_SCORES = 1_000_000


@dataclass
class ForwardPass:
    """A forward pass of an outermost module. `called` are the ids of the modules that ran in it."""

    module: nn.Module
    inputs: tuple[Any, ...]
    output: Tensor
    called: set[int] = field(default_factory=set)

    @property
    def images(self) -> Tensor | None:
        """Return the images that the module was called with, or None."""
        first = self.inputs[0] if self.inputs else None
        return first if isinstance(first, Tensor) and first.dim() >= 2 and first.is_floating_point() else None


@dataclass
class LossCall:
    """One call of a loss function of torch.

    Attributes:
        name: torch's.
        scores: (n, classes).
        target: what the scores are compared with.
        plain: the call has neither weights nor label smoothing.
        result: the loss.
        forward: the last forward pass before the call.
    """

    name: str
    scores: Tensor
    target: Tensor
    plain: bool
    result: Any
    forward: ForwardPass

    @property
    def of_classes(self) -> bool:
        """Return whether this is the cross-entropy in one of its two forms."""
        return self.name in ("cross_entropy_loss", "nll_loss_nd")


@dataclass
class OptimiserStep:
    """The numbers of one optimiser step; nan or empty if there is nothing to measure.

    `loss` is what the backward pass began with, `expected` the mean cross-entropy of the scores, `squared_error` their
    mean squared distance from the one-hot labels. `labels` are pairs: the label in the data set, and the label that
    the loss function got. `gradient` is "missing", "zero" or "there"; `cosine` and `scale` compare it with the
    reference.
    """

    examples: int
    loss: float = math.nan
    expected: float = math.nan
    squared_error: float = math.nan
    loss_function: str = ""
    plain: bool = True
    last_operation: str = ""
    probabilities: bool = False
    log_probabilities: bool = False
    labels: tuple[tuple[int, int], ...] = ()
    gradient: str = "there"
    cosine: float = math.nan
    scale: float = math.nan
    unreached: tuple[str, ...] = ()
    changed: bool = True


@dataclass
class Trajectory:
    """One model's training by one statement.

    `size` is that of an image (channels, height, width); `lowest` and `highest` are the extreme values of its pixels.
    `kept` and `cleared` count the steps after which the gradients were still there, or were gone, when the next
    backward pass began. `optimizer` is BY_HAND if the parameters change without one, and "" if they do not change.
    """

    model: str
    parameters: int
    size: tuple[int, ...] = ()
    lowest: float = math.inf
    highest: float = -math.inf
    frozen: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    has_modes: bool = False
    steps: int = 0
    backward_passes: int = 0
    eval_passes: int = 0
    examples: int = 0
    kept: int = 0
    cleared: int = 0
    optimizer: str = ""
    momentum: bool = False
    lr: float = math.nan
    lowest_lr: float = math.inf
    highest_lr: float = 0.0
    closure: bool = False
    recorded: list[OptimiserStep] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    epochs: int | None = None
    planned_epochs: int | None = None
    ended: str = ""


def measure_step(loss: Any, scores: Tensor | None, call: LossCall | None, target: Tensor | None) -> OptimiserStep:
    """Return the numbers of a step before its backward pass.

    Args:
        loss: what the backward pass begins with.
        scores: the model's output, (n, classes).
        call: the call of a loss function with it, or None if the student wrote the loss.
        target: the labels (n,), or None if they are not known.
    """
    step = OptimiserStep(0 if scores is None else int(scores.shape[0]))
    if isinstance(loss, Tensor) and loss.numel() == 1:
        step.loss = float(loss.detach())
    if call is not None:
        scores = call.scores
        step.loss_function, step.plain = call.name, call.plain
    if scores is None or scores.dim() != 2 or scores.numel() > _MAX_SCORES or not scores.is_floating_point():
        return step
    step.last_operation = _find_last_operation(scores)
    values = scores.detach().float()
    step.probabilities = _sum_to_one(values)
    step.log_probabilities = _sum_to_one(values.exp())
    labels = _as_labels(values, target)
    if labels is not None:
        step.expected = float(nn.functional.cross_entropy(values, labels))
        one_hot = nn.functional.one_hot(labels, values.shape[1]).float()
        step.squared_error = float(((values - one_hot) ** 2).mean())
    return step


def compute_reference_gradients(
    scores: Tensor, target: Tensor | None, parameters: Sequence[Tensor]
) -> list[Tensor | None]:
    """Return the gradients of the mean cross-entropy for these parameters, and keep the graph usable.

    The list is empty if the scores and the target do not go together.
    """
    labels = _as_labels(scores, target)
    if scores.dim() != 2 or not scores.requires_grad or labels is None:
        return []
    with torch.enable_grad():
        loss = nn.functional.cross_entropy(scores, labels)
    return list(torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True))


def measure_agreement(gradients: Sequence[Tensor | None], reference: Sequence[Tensor | None]) -> tuple[float, float]:
    """Return the cosine between two lists of gradients, and the factor of the first one along the second."""
    pairs = [(f.flatten().float(), r.flatten().float()) for f, r in zip(gradients, reference, strict=True)
             if f is not None and r is not None]  # fmt: skip
    along = sum(float(f @ r) for f, r in pairs)
    first, second = (sum(float(pair[side] @ pair[side]) for pair in pairs) for side in (0, 1))
    if not first or not second:
        return math.nan, math.nan
    return along / math.sqrt(first * second), along / second


def _as_labels(scores: Tensor, target: Tensor | None) -> Tensor | None:
    """Return the target, on the scores' device, if it is one class for each row of scores, or None."""
    if target is None or target.dtype.is_floating_point or target.shape != scores.shape[:1] or not len(target):
        return None
    return target.to(scores.device) if int(target.min()) >= 0 and int(target.max()) < scores.shape[1] else None


def _sum_to_one(values: Tensor) -> bool:
    return bool((values >= 0).all() and ((values.sum(1) - 1).abs() < 1e-3).all())


def _find_last_operation(scores: Tensor) -> str:
    """Return autograd's name of the operation that gave the scores, ignoring views."""
    node = scores.grad_fn
    while node is not None and any(view in node.name() for view in _VIEWS) and node.next_functions:
        node = node.next_functions[0][0]
    return "" if node is None else node.name()

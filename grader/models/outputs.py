"""What a model computes with drawn weights in place of its own: the cheap way to see whether a graph describes it.

It runs where the model lives. Weights and images are drawn from a secret of the trusted side, so what a process returns
is no claim: to be right, it must have a model that computes the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from grader.models.modules import NORMALISATIONS
from grader.models.torch_internals import find_leaves

__all__ = ["GAIN", "are_close", "compute_outputs", "draw_weights", "renew_statistics"]

GAIN = 2.0  # of a layer: with it sigmoids leave their middle, where they hide what comes before them
_TOLERANCE = 1e-4  # of the largest output; sums may be computed in another order
_STEP = 61  # numbers from the first one of a weight's row to the first one of the next row
_MOST_NUMBERS = 2**23  # of a weight that is used as a whole
_ROWS = 128
_OUTPUTS = {F.linear: -1, F.conv2d: 1}  # the dimension of the result in which the rows of the weight lie


def compute_outputs(
    module: nn.Module,
    names: Sequence[str],
    shapes: Sequence[tuple[int, ...]],
    images: Tensor,
    seed: int,
    *,
    gain: float = GAIN,
    training: bool = False,
) -> Tensor:
    """Return what a module computes if drawn weights take the place of its parameters.

    The parameters themselves stay as they are, and need no numbers. The drawn weights may have other shapes than these,
    which suit images of another size.

    Args:
        module: maps images to logits. It stays in train mode if `training`, else in eval mode.
        names: of the module's parameters, in an order that both sides agree on.
        shapes: the shape of the weight that takes the place of each.
        images: (n, c, h, w).
        seed: of the weights, and of what dropout drops.
        gain: how much larger a layer's results are than its inputs, about.
        training: whether to compute in train mode.

    Returns:
        The logits, (n, classes), in float64.

    Raises:
        ValueError: the module has no parameter of a name, or gives no real numbers.
    """
    own = dict(module.named_parameters())
    if not own.keys() >= set(names):
        raise ValueError("the module has no such parameter")
    dtype = own[names[0]].dtype if names else images.dtype
    weights = dict(zip(names, draw_weights(shapes, seed, gain), strict=True))
    module.train(training)
    torch.default_generator.manual_seed(seed)
    with torch.no_grad():
        if isinstance(module, torch.jit.ScriptModule):  # nothing can take the place of its parameters
            for name, weight in weights.items():
                own[name].copy_(weight)
            return _find_logits(module(images.to(dtype)))
        state = {name: weight.to(dtype) for name, weight in weights.items()} | renew_statistics(module)
        with _InParts():
            return _find_logits(torch.func.functional_call(module, state, (images.to(dtype),)))


def _find_logits(result: Any) -> Tensor:
    """Return the first tensor of a result as (n, classes) in float64; a model may return it in a dictionary."""
    logits: Tensor = next(leaf for leaf in find_leaves(result) if isinstance(leaf, Tensor))
    if not logits.is_floating_point():
        raise ValueError("the module gives no real numbers")
    return logits.flatten(1).double()


def draw_weights(shapes: Sequence[tuple[int, ...]], seed: int, gain: float = GAIN) -> list[Tensor]:
    """Draw weights that change the scale of activations by a factor, and biases and other factors that matter.

    The rows of a weight overlap in memory, each `_STEP` numbers after the one before. So the weights of a VGG, which
    would take half a gigabyte and longer to fill than to use, take two megabytes.

    Args:
        shapes: of the weights.
        seed: decides all numbers.
        gain: the factor.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = []
    for shape in shapes:
        rows, width = shape[0] if shape else 1, math.prod(shape[1:])
        count = rows if len(shape) < 2 else (rows - 1) * _STEP + width
        # Not the default dtype: a student may have set it to float64, which draws other numbers.
        numbers = torch.empty(count, dtype=torch.float32).uniform_(-1, 1, generator=generator)
        if len(shape) < 2:
            drawn.append((numbers * 0.5 + 0.6).reshape(shape))
        else:
            steps = [math.prod(shape[axis + 1 :]) for axis in range(1, len(shape))]
            drawn.append((numbers * (gain * math.sqrt(6 / width))).as_strided(shape, (_STEP, *steps)))
    return drawn


def renew_statistics(module: nn.Module) -> dict[str, Tensor]:
    """Return a module's running statistics as they are before any training, by the names of their buffers."""
    renewed: dict[str, Tensor] = {}
    for prefix, part in module.named_modules():
        if isinstance(part, NORMALISATIONS):
            for name, old in part.named_buffers(recurse=False):
                fresh = torch.ones if name == "running_var" else torch.zeros
                renewed[f"{prefix}.{name}" if prefix else name] = fresh(old.shape, dtype=old.dtype)
    return renewed


class _InParts(TorchFunctionMode):
    """Multiplies by a large weight part by part: torch first copies weights whose rows overlap."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function, on parts of a large weight."""
        if func not in _OUTPUTS or kwargs or args[1].numel() <= _MOST_NUMBERS or args[6:7] not in ((), (1,)):
            return func(*args, **(kwargs or {}))
        weights = args[1].split(_ROWS)
        biases = args[2].split(_ROWS) if len(args) > 2 and args[2] is not None else [None] * len(weights)
        parts = [func(args[0], w.contiguous(), b, *args[3:]) for w, b in zip(weights, biases, strict=True)]
        return torch.cat(parts, _OUTPUTS[func])


def are_close(found: Any, expected: Tensor) -> bool:
    """Tell whether two models computed the same.

    Policy: the same shape, all numbers finite, and each within 0.01 % of the largest.
    """
    if not isinstance(found, Tensor) or found.shape != expected.shape or found.dtype != expected.dtype:
        return False
    tolerance = _TOLERANCE * float(expected.abs().max())
    return bool(expected.isfinite().all()) and bool(((found - expected).abs() <= tolerance).all())

"""Comparisons, each with an explicit policy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from grader.student import Remote
from grader.testing.failures import Mismatch, NoModel

__all__ = ["assert_close", "assert_module", "assert_shape"]

_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 1e-2}


def assert_close(found: Any, expected: Tensor | float) -> None:
    """Require a result to equal the expected one.

    Policy: `found` is a tensor, or a number if `expected` has no dimensions. Its dtype is an integer or a real floating
    type. Its shape equals the expected shape, without broadcasting. NaN equals only an expected NaN, and an infinity
    only itself. Both are compared in float64. They may differ by the tolerance of the coarser of the two dtypes
    (float64 1e-9, float32 1e-5, half and bfloat16 1e-2, integers none) times the largest expected magnitude, or times 1
    if that is larger.

    Args:
        found: what the student's code returned.
        expected: a tensor of any shape, or a number.

    Raises:
        Mismatch: they differ; the message names the first entry that differs.
    """
    if not isinstance(expected, Tensor):
        expected = torch.tensor(expected, dtype=torch.float64)
    expected = expected.detach()
    if expected.ndim == 0 and isinstance(found, (int, float)) and not isinstance(found, bool):
        found = _to_tensor(found)
    if not isinstance(found, Tensor):
        raise Mismatch(f"expected a tensor, found {_describe(found)}", expected=expected, found=found)
    found = found.detach()
    if found.dtype.is_complex or found.dtype == torch.bool:
        raise Mismatch(f"expected real numbers, found {found.dtype}", expected=expected, found=found)
    if expected.dtype.is_complex:  # it may be an answer of the student's, too
        raise Mismatch(f"expected complex numbers, found {found.dtype}", expected=expected, found=found)
    assert_shape(found, expected.shape, expected=expected)
    tolerance = max(_get_tolerance(found.dtype), _get_tolerance(expected.dtype))
    a, b = found.to(torch.float64), expected.to(torch.float64)
    # Nearly all results are right, and this takes a third of the operations. A distance of NaN is not <= anything.
    if b.numel() == 0 or float(torch.dist(a, b, math.inf)) <= tolerance:
        return
    finite = b[b.isfinite()].abs()
    scale = max(1.0, float(finite.max())) if finite.numel() else 1.0
    same = ((a - b).abs() <= tolerance * scale) | (a == b) | (a.isnan() & b.isnan())
    if not bool(same.all()):
        index = [int(i) for i in (~same).nonzero()[0]]
        right, wrong = _format_apart(float(b[tuple(index)]), float(a[tuple(index)]))
        position = f" at {index}" if index else ""
        raise Mismatch(f"expected {right}{position}, found {wrong}", expected=expected, found=found)


def assert_shape(found: Any, expected_shape: Sequence[int], **evidence: Any) -> None:
    """Require a tensor of exactly this shape. Its values do not matter.

    Args:
        found: what the student's code returned.
        expected_shape: the shape it must have.
        evidence: values to show beside the message.

    Raises:
        Mismatch: it is no tensor, or has another shape.
    """
    shape = tuple(expected_shape)
    evidence = {"expected": {"shape": list(shape)}, "found": found, **evidence}
    if not isinstance(found, Tensor):
        raise Mismatch(f"expected a tensor of shape {shape}, found {_describe(found)}", **evidence)
    if tuple(found.shape) != shape:
        raise Mismatch(f"expected shape {shape}, found {tuple(found.shape)}", **evidence)


def assert_module(found: Any, made_by: str) -> Remote:
    """Require an nn.Module that lives in the student's process, and return it.

    Args:
        found: what the student's code returned.
        made_by: the call that returned it, for the message ("LeNet()").

    Raises:
        NoModel: it is something else.
    """
    if getattr(found, "kind", None) != "module":
        raise NoModel(f"{made_by} should give an nn.Module, found {_describe(found)}", found=found)
    module: Remote = found
    return module


def _get_tolerance(dtype: torch.dtype) -> float:
    return _TOLERANCE.get(dtype, 1e-2) if dtype.is_floating_point else 0.0


def _to_tensor(value: float) -> Tensor:
    try:
        return torch.tensor(float(value), dtype=torch.float64)
    except OverflowError:
        return torch.tensor(math.inf, dtype=torch.float64)


def _describe(value: Any) -> str:
    if value is None:
        return "None (does it return its result?)"
    kind = getattr(value, "kind", None)
    if isinstance(kind, str):
        return "an object that is no tensor" if kind == "object" else f"a {kind}"
    name = type(value).__name__
    return "a list or tuple" if isinstance(value, tuple) else f"{'an' if name == 'int' else 'a'} {name}"


def _format_apart(expected: float, found: float) -> tuple[str, str]:
    """Format two different numbers with as few digits as show the difference."""
    for digits in (4, 6, 9, 17):
        right, wrong = f"{expected:.{digits}g}", f"{found:.{digits}g}"
        if right != wrong:
            break
    return right, wrong

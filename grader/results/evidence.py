"""Evidence: values as plain, bounded JSON, shown beside a verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import islice
from typing import Any

import torch
from torch import Tensor

__all__ = ["clip", "to_plain_json"]

ENTRIES = 64  # larger tensors are not shown: they are too long to read
NODES = 500  # values in one piece of evidence, not counting the entries of tensors
PLACES = 4  # decimal places
DEPTH = 20  # of lists and dicts within each other
BITS = 1000  # of a whole number; Python writes none of more than 4300 digits
LENGTH = 500  # characters of a message, which may repeat what the student's code printed or raised


def to_plain_json(value: Any) -> Any:
    """Convert a value to plain JSON of bounded size, whatever the student's code returned.

    A tensor becomes its shape, dtype and rounded entries (null if it has none or more than 64). NaN and infinities
    become strings. Long texts, lists and dicts are cut, and so is deep nesting. Huge whole numbers are described.
    """
    return _convert(value, [NODES])


def _convert(value: Any, left: list[int], depth: int = 0) -> Any:
    left[0] -= 1
    if left[0] < 0 or depth > DEPTH:
        return "…"
    if isinstance(value, Tensor):
        shown = 0 < value.numel() <= ENTRIES and not value.is_complex()
        entries = _convert(value.detach().tolist(), [10 * ENTRIES]) if shown else None
        return {"shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch."), "values": entries}
    if isinstance(value, float):
        return round(value, PLACES) + 0.0 if math.isfinite(value) else str(value)
    if isinstance(value, int) and value.bit_length() > BITS:
        return f"a whole number of {value.bit_length()} bits"
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return clip(value)
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    if isinstance(value, Mapping):
        return {clip(str(name)): _convert(entry, left, depth + 1) for name, entry in islice(value.items(), ENTRIES)}
    if isinstance(value, (list, tuple)):
        return [_convert(entry, left, depth + 1) for entry in value[:ENTRIES]] + ["…"] * (len(value) > ENTRIES)
    return f"<{getattr(value, 'kind', 'object')}>"


def clip(text: str, length: int = LENGTH) -> str:
    """Shorten a text to `length` characters."""
    return text if len(text) <= length else text[: length - 1] + "…"

"""Evidence: values as plain, bounded JSON, to show beside a verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import islice
from typing import Any

import torch
from torch import Tensor

__all__ = ["clip", "to_plain_json"]

ENTRIES = 64  # a tensor with more is evidence nobody reads
NODES = 500  # of one piece of evidence, tensors' entries apart
PLACES = 4
LENGTH = 500  # of a message, which may hold what the student's code said


def to_plain_json(value: Any) -> Any:
    """Return a value as plain JSON values, of which there are never many, whatever a student's code returned.

    A tensor becomes its shape, dtype and entries, rounded (null where there are none or more than 64); NaN and the
    infinities become strings; long texts, lists and dicts are cut.
    """
    return _plain(value, [NODES])


def _plain(value: Any, left: list[int]) -> Any:
    left[0] -= 1
    if left[0] < 0:
        return "…"
    if isinstance(value, Tensor):
        shown = 0 < value.numel() <= ENTRIES and not value.is_complex()
        entries = _plain(value.detach().tolist(), [10 * ENTRIES]) if shown else None
        return {"shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch."), "values": entries}
    if isinstance(value, float):
        return round(value, PLACES) + 0.0 if math.isfinite(value) else str(value)
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return clip(value)
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    if isinstance(value, Mapping):
        return {clip(str(name)): _plain(each, left) for name, each in islice(value.items(), ENTRIES)}
    if isinstance(value, (list, tuple)):
        return [_plain(each, left) for each in value[:ENTRIES]] + ["…"] * (len(value) > ENTRIES)
    return f"<{getattr(value, 'kind', 'object')}>"


def clip(text: str) -> str:
    return text if len(text) <= LENGTH else text[: LENGTH - 1] + "…"

"""The student's objects as plain data, and plain data as the student's objects; runs in the student's process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy
from torch import Tensor, from_numpy, nn  # bound before any student's code runs, which may replace what torch has

from grader.models.modules import classify
from grader.sandbox.protocol.encoding import Array, Handle
from grader.sandbox.protocol.tensors import array_to_tensor, tensor_to_array

__all__ = ["Objects", "is_unchanged", "read_small_value"]

_SMALL = 1024
_MAX_ENTRIES = 10_000


def _native(array: numpy.ndarray[Any, Any]) -> numpy.ndarray[Any, Any]:
    """Return a copy in row-major order and this machine's byte order."""
    return numpy.array(array, dtype=array.dtype.newbyteorder("="), order="C", copy=True)


def read_small_value(thing: Any) -> Any:
    """Return a small tensor, a shape, or a small layer's parameters as plain data; None for anything else."""
    try:
        if isinstance(thing, nn.Module):
            return _small_layer(thing)
        if isinstance(thing, numpy.ndarray) and 0 < thing.size <= _SMALL and thing.dtype.kind in "biuf":
            thing = from_numpy(_native(thing))
        if isinstance(thing, Tensor) and 0 < Tensor.numel(thing) <= _SMALL and Tensor.dim(thing) <= 6:
            value = tensor_to_array(thing)
            return value if isinstance(value, Array) else None
        if isinstance(thing, tuple) and 0 < len(thing) <= 8 and all(type(entry) is int for entry in thing):
            return tuple(thing)
    except Exception:  # whatever a student's object does when it is looked at, the cell goes on
        return None
    return None


def _small_layer(layer: nn.Module) -> dict[str, Array] | None:
    parameters = dict(layer.named_parameters())
    if any(isinstance(p, nn.parameter.UninitializedParameter) for p in parameters.values()):
        return None
    if not parameters or sum(p.numel() for p in parameters.values()) > _SMALL:
        return None
    arrays = {name: tensor_to_array(parameter) for name, parameter in parameters.items()}
    return {name: array for name, array in arrays.items() if isinstance(array, Array)}


class Objects:
    """The objects of one test that stay in the student's process, by number."""

    def __init__(self) -> None:
        self._things: list[Any] = []

    def outgoing(self, thing: Any, depth: int = 0) -> Any:
        """Return a thing as plain data where it is data, as a handle where it is not."""
        kind = type(thing)
        if thing is None or kind in (bool, float, str) or (kind is int and thing.bit_length() < 2000):
            return thing
        if isinstance(thing, Tensor):
            return tensor_to_array(thing)
        if isinstance(thing, numpy.ndarray) and thing.dtype.kind in "biufc":
            return tensor_to_array(from_numpy(_native(thing)))
        if isinstance(thing, numpy.bool_ | numpy.integer | numpy.floating):
            return thing.item()
        if isinstance(thing, tuple | list) and depth < 8 and len(thing) <= _MAX_ENTRIES:
            return tuple(self.outgoing(entry, depth + 1) for entry in thing)
        if isinstance(thing, Mapping) and depth < 8 and len(thing) <= _MAX_ENTRIES:
            return {str(key): self.outgoing(entry, depth + 1) for key, entry in thing.items()}
        return self.keep(thing)

    def keep(self, thing: Any) -> Handle:
        """Return a new handle for a thing."""
        self._things.append(thing)
        return Handle(len(self._things) - 1, classify(thing), type(thing).__name__[:100])

    def handle_of(self, thing: Any) -> Handle:
        """Return the handle of a thing, the same for the same thing."""
        known = (number for number, kept in enumerate(self._things) if kept is thing)
        number = next(known, None)
        return self.keep(thing) if number is None else Handle(number, classify(thing), type(thing).__name__[:100])

    def incoming(self, value: Any) -> Any:
        """Return what plain data or a handle from the trusted side stands for."""
        if isinstance(value, Array):
            return array_to_tensor(value)
        if isinstance(value, Handle):
            return self._things[value.number]
        if isinstance(value, tuple):
            return tuple(self.incoming(entry) for entry in value)
        if isinstance(value, dict):
            return {key: self.incoming(entry) for key, entry in value.items()}
        return value


def is_unchanged(sent: Any, kept: Any) -> bool:
    """Tell whether the tensors made of `sent` still hold what was sent, bit for bit."""
    if isinstance(sent, Array):
        now = tensor_to_array(kept)
        return isinstance(now, Array) and now.shape == sent.shape and now.data == sent.data
    if isinstance(sent, tuple):
        return all(is_unchanged(*pair) for pair in zip(sent, kept, strict=True))
    if isinstance(sent, dict):
        return sent.keys() == kept.keys() and all(is_unchanged(entry, kept[key]) for key, entry in sent.items())
    return True

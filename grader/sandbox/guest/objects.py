"""The student's objects as plain data, and plain data as the student's objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy
import torch
from torch import nn

from grader.models.modules import classify
from grader.sandbox.protocol.encoding import Array, Handle
from grader.sandbox.protocol.tensors import array_to_tensor, tensor_to_array

__all__ = ["Objects", "is_unchanged", "read_small_value"]

_SMALL = 1024  # entries
_MAX_ENTRIES = 10_000
_MAX_DEPTH = 8
# Kept from before any student's code ran, so that a harmless `torch.Tensor = ...` breaks nothing here.
_Tensor, _from_numpy = torch.Tensor, torch.from_numpy


def _copy_natively(array: numpy.ndarray[Any, Any]) -> numpy.ndarray[Any, Any]:
    """Return a copy in row-major order and this machine's byte order."""
    return numpy.array(array, dtype=array.dtype.newbyteorder("="), order="C", copy=True)


def read_small_value(value: Any) -> Any:
    """Return a small tensor, a shape, or a small layer's parameters as plain data, or None for anything else.

    A parameter `weight` that a gradient has reached has it under the name `weight.grad`.
    """
    try:
        if isinstance(value, nn.Module):
            return _read_small_layer(value)
        if isinstance(value, numpy.ndarray) and 0 < value.size <= _SMALL and value.dtype.kind in "biuf":
            value = _from_numpy(_copy_natively(value))
        if isinstance(value, _Tensor) and 0 < _Tensor.numel(value) <= _SMALL and _Tensor.dim(value) <= 6:
            array = tensor_to_array(value)
            return array if isinstance(array, Array) else None
        if isinstance(value, tuple) and 0 < len(value) <= 8 and all(type(entry) is int for entry in value):
            return tuple(value)
    except Exception:  # whatever a student's object does when it is looked at, the cell goes on
        return None
    return None


def _read_small_layer(layer: nn.Module) -> dict[str, Array] | None:
    parameters = dict(layer.named_parameters())
    if any(isinstance(p, nn.parameter.UninitializedParameter) for p in parameters.values()):
        return None
    if not parameters or sum(p.numel() for p in parameters.values()) > _SMALL:
        return None
    gradients = {f"{name}.grad": p.grad for name, p in parameters.items() if p.grad is not None}
    arrays = {name: tensor_to_array(tensor) for name, tensor in (parameters | gradients).items()}
    return {name: array for name, array in arrays.items() if isinstance(array, Array)}


class Objects:
    """The objects of one test that stay in the student's process, by number."""

    def __init__(self) -> None:
        self._objects: list[Any] = []

    def pack(self, value: Any, depth: int = 0) -> Any:
        """Return a value as plain data, or a handle if it is an object."""
        kind = type(value)
        if value is None or kind in (bool, float, str) or (kind is int and value.bit_length() < 2000):
            return value
        if isinstance(value, _Tensor):
            return tensor_to_array(value)
        if isinstance(value, numpy.ndarray) and value.dtype.kind in "biufc":
            return tensor_to_array(_from_numpy(_copy_natively(value)))
        if isinstance(value, numpy.bool_ | numpy.integer | numpy.floating):
            return value.item()
        if isinstance(value, tuple | list) and depth < _MAX_DEPTH and len(value) <= _MAX_ENTRIES:
            return tuple(self.pack(entry, depth + 1) for entry in value)
        if isinstance(value, Mapping) and depth < _MAX_DEPTH and len(value) <= _MAX_ENTRIES:
            return {str(key): self.pack(entry, depth + 1) for key, entry in value.items()}
        return self.keep(value)

    def keep(self, value: Any) -> Handle:
        """Return a new handle for an object."""
        self._objects.append(value)
        return _make_handle(len(self._objects) - 1, value)

    def handle_of(self, value: Any) -> Handle:
        """Return the handle of an object, always the same one for the same object."""
        known = (number for number, kept in enumerate(self._objects) if kept is value)
        number = next(known, None)
        return self.keep(value) if number is None else _make_handle(number, value)

    def unpack(self, value: Any) -> Any:
        """Return the value that plain data or a handle from the trusted side stands for."""
        if isinstance(value, Array):
            return array_to_tensor(value)
        if isinstance(value, Handle):
            return self._objects[value.number]
        if isinstance(value, tuple):
            return tuple(self.unpack(entry) for entry in value)
        if isinstance(value, dict):
            return {key: self.unpack(entry) for key, entry in value.items()}
        return value


def _make_handle(number: int, value: Any) -> Handle:
    return Handle(number, classify(value), type(value).__name__[:100])


def is_unchanged(sent: Any, kept: Any) -> bool:
    """Return whether the tensors that were made of `sent` still hold what was sent, bit for bit."""
    if isinstance(sent, Array):
        now = tensor_to_array(kept)
        return isinstance(now, Array) and now.shape == sent.shape and now.data == sent.data
    if isinstance(sent, tuple):
        return all(is_unchanged(*pair) for pair in zip(sent, kept, strict=True))
    if isinstance(sent, dict):
        return sent.keys() == kept.keys() and all(is_unchanged(entry, kept[key]) for key, entry in sent.items())
    return True

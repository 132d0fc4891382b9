"""Tensors as arrays, and arrays as tensors, on both sides of the sandbox."""

from __future__ import annotations

import torch

from grader.sandbox.protocol.encoding import ITEM_BYTES, Array, Failure

__all__ = ["array_to_tensor", "tensor_to_array"]

_DTYPES = {getattr(torch, name): name for name in ITEM_BYTES}
# Bound before any student's code runs, so that an assignment such as `torch.Tensor.numpy = ...` changes nothing here.
_Tensor, _empty, _frombuffer = torch.Tensor, torch.empty, torch.frombuffer
_detach, _as_subclass, _reshape, _view = _Tensor.detach, _Tensor.as_subclass, _Tensor.reshape, _Tensor.view
_to_dense, _numpy = _Tensor.to_dense, _Tensor.numpy
_WithoutSubclasses = torch._C.DisableTorchFunctionSubclass


def tensor_to_array(tensor: torch.Tensor) -> Array | Failure:
    """Return a tensor's values, or a failure if its dtype is not plain data. Overrides of a subclass are ignored."""
    with _WithoutSubclasses():
        plain = _detach(tensor)
        if plain.layout is not torch.strided:
            plain = _to_dense(plain)
        plain = _as_subclass(plain, _Tensor)
        name = _DTYPES.get(plain.dtype)
        if name is None:
            return Failure("Malformed", f"a tensor of dtype {plain.dtype} is no plain data")
        if name == "bfloat16":  # numpy does not have this dtype
            plain = _view(plain, torch.int16)
        values = _numpy(plain, force=True)
        return Array(name, values.shape, values.tobytes())


def array_to_tensor(array: Array) -> torch.Tensor:
    """Return a new tensor with an array's values, in memory of its own."""
    dtype = getattr(torch, array.dtype)
    if not array.data:
        return _empty(array.shape, dtype=dtype)
    return _reshape(_frombuffer(bytearray(array.data), dtype=dtype), array.shape)

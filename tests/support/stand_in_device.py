"""A stand-in accelerator that lives in this process's memory: `torch.device("standin")`.

Importing this module adds the device to torch. Its tensors are torch's own: views share storages, parameters,
gradients and optimisers work, and `.numpy()` is refused as for any device. Every operation is computed by the CPU on
the same memory. The device counts its memory, refuses more than its limit, and can be made to hang. Like CUDA, it
cannot be used in a fork of the process that used it first; each use that is refused is counted in `device.misuses`.

It cannot show what only a driver does: errors that arrive late, streams, generators of the device, memory that the
driver holds for it. `torch.cuda` does not know it. Views as another data type, LSTM and GRU are refused.
"""

from __future__ import annotations

import ctypes
import os
import re
import time
import weakref
from collections.abc import Sequence
from typing import Any

import numpy
import torch
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

__all__ = ["NAME", "StandInDevice", "device"]

NAME = "standin"
_HERE = torch.device("cpu")
_CPU, _EXTENSION = 1, 12  # numbers of device types in DLPack
_aten = torch.ops.aten
_TAKES_INDICES = re.compile(r"aten\._?index(_put|\.)")


class StandInDevice:
    """What tests ask of the device, and what they set.

    `limit_bytes` is its memory and `used_bytes` what is in use. `fails_in_forks` is whether a fork of the process that
    used it first is refused, and `misuses` how often that happened. `hangs` makes every use wait forever. `asked` takes
    the names of the operations that ran, if it is a list.
    """

    def __init__(self) -> None:
        self.limit_bytes = 1 << 40
        self.used_bytes = 0
        self.fails_in_forks = True
        self.misuses = 0
        self.hangs = False
        self.asked: list[str] | None = None
        self._owner = 0

    @property
    def is_initialized(self) -> bool:
        """Whether this process, or one that it is a fork of, used the device."""
        return bool(self._owner)

    def enter(self, what: str) -> None:
        """Use the device.

        Raises:
            RuntimeError: this process is a fork of the one that used it first.
        """
        self._owner = self._owner or os.getpid()
        if self.asked is not None:
            self.asked.append(what)
        if self.fails_in_forks and self._owner != os.getpid():
            self.misuses += 1
            raise RuntimeError(
                "Cannot re-initialize CUDA in forked subprocess. To use CUDA with multiprocessing, you must use the "
                f"'spawn' start method ({what})"
            )
        while self.hangs:
            time.sleep(3600)

    def allocate(self, size: Sequence[int], stride: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        """Return a tensor in memory of the device.

        Raises:
            torch.OutOfMemoryError: the device has too little memory left.
        """
        extent = 0 if 0 in size else 1 + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
        needed = extent * dtype.itemsize
        if self.used_bytes + needed > self.limit_bytes:
            raise torch.OutOfMemoryError(
                f"CUDA out of memory. Tried to allocate {needed / 2**20:.2f} MiB. GPU 0 has a total capacity of "
                f"{self.limit_bytes / 2**30:.2f} GiB of which {(self.limit_bytes - self.used_bytes) / 2**20:.2f} MiB "
                "is free. If reserved but unallocated memory is large try setting PYTORCH_CUDA_ALLOC_CONF="
                "expandable_segments:True to avoid fragmentation."
            )
        memory = numpy.empty(max(needed, dtype.itemsize), dtype=numpy.uint8)
        self.used_bytes += needed
        weakref.finalize(memory, self._free, needed).atexit = False
        made = _reinterpret(torch.from_numpy(memory).view(dtype).as_strided(size, stride), _EXTENSION)
        _let_data_be_assigned(made)
        return made

    def _free(self, size: int) -> None:
        self.used_bytes -= size


def _reinterpret(tensor: torch.Tensor, device_type: int) -> torch.Tensor:
    """Return the same memory as a tensor of another device."""
    capsule = torch._C._to_dlpack(tensor)
    api = ctypes.pythonapi
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    managed = api.PyCapsule_GetPointer(capsule, b"dltensor")
    ctypes.c_int32.from_address(managed + 8).value = device_type  # DLManagedTensor: a pointer, then DLDevice
    result: torch.Tensor = torch._C._from_dlpack(capsule)
    return result


def _let_data_be_assigned(tensor: torch.Tensor) -> None:
    """Let `tensor.data = ...` take a tensor of the CPU, as it does for CUDA's, which torch counts as alike.

    torch compares sets of dispatch keys. One bit more, which says CPU, changes nothing else: of the backends in a set
    the last one is asked.
    """
    keys = torch._C._dispatch_keys(tensor).raw_repr()
    words = (ctypes.c_uint64 * 32).from_address(tensor._cdata)
    words[list(words).index(keys)] |= torch._C._dispatch_keys(torch.empty(0)).raw_repr() & 0xFFFF


def _to_host(value: Any) -> Any:
    """Return the device's memory as a tensor of the CPU; other values as they are, and the CPU for the device."""
    if isinstance(value, torch.device):
        return _HERE if value.type == NAME else value
    if not isinstance(value, torch.Tensor) or value.device.type != NAME:
        return value
    host = _reinterpret(value.resolve_conj() if value.is_conj() else value, _CPU)
    return torch._neg_view(host) if value.is_neg() else host


def _to_device(value: Any) -> Any:
    """Return a copy in the device's memory of a tensor of the CPU."""
    if value.device.type != "cpu" or value.layout != torch.strided:
        return value
    copied = device.allocate(value.shape, value.stride(), value.dtype)
    _reinterpret(copied, _CPU).copy_(value)
    return copied


def _compute(operation: Any, *args: Any, **kwargs: Any) -> Any:
    """Run any operation on the CPU, and return its results on the device."""
    device.enter(str(operation))
    _check_devices(str(operation), (args, kwargs))
    host_args, host_kwargs = tree_map_only((torch.Tensor, torch.device), _to_host, (args, kwargs))
    schema = operation._schema
    for argument in schema.arguments:
        if argument.is_out and isinstance(kwargs.get(argument.name), torch.Tensor):
            host_kwargs[argument.name] = torch.empty(0, dtype=kwargs[argument.name].dtype)
    result = operation(*host_args, **host_kwargs)
    given = dict(zip((argument.name for argument in schema.arguments), args, strict=False)) | kwargs
    sources = {
        name: given[argument.name]
        for argument in schema.arguments
        if argument.alias_info is not None and argument.name in given
        for name in argument.alias_info.before_set
    }
    results = result if isinstance(result, tuple) and len(schema.returns) > 1 else (result,)
    placed = []
    for value, returned in zip(results, schema.returns, strict=True):
        info = returned.alias_info
        source = next((sources[name] for name in info.before_set if name in sources), None) if info else None
        if source is None:
            placed.append(tree_map_only(torch.Tensor, _to_device, value))
        elif info.is_write:
            placed.append(_fill(source, value))
        else:
            views = [_make_view(source, view) for view in (value if isinstance(value, list | tuple) else (value,))]
            placed.append(views if isinstance(value, list | tuple) else views[0])
    return tuple(placed) if len(schema.returns) > 1 else placed[0] if placed else None


def _check_devices(name: str, arguments: Any) -> None:
    """Refuse tensors of the CPU beside those of the device, except numbers and indices.

    Raises:
        RuntimeError: there is one.
    """
    for value in tree_leaves(arguments):
        if isinstance(value, torch.Tensor) and value.is_cpu and value.dim() and not _TAKES_INDICES.match(name):
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found at least two devices, standin:0 and cpu!"
            )


def _fill(target: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Return a tensor of the device once it holds `value`, which is the same memory unless it was made for `out=`."""
    if value.shape != target.shape:
        target.data = device.allocate(value.shape, value.stride(), value.dtype)
    if value.data_ptr() != target.data_ptr():
        _reinterpret(target, _CPU).copy_(value)
    return target


def _make_view(source: torch.Tensor, view: torch.Tensor) -> torch.Tensor:
    """Return a view of a tensor of the device that looks like a view of its memory."""
    if view.dtype != source.dtype:
        raise NotImplementedError("the stand-in device has no views as another data type")
    offset = source.storage_offset() + (view.data_ptr() - source.data_ptr()) // source.element_size()
    made: torch.Tensor = _aten.alias(source)
    made.as_strided_(view.shape, view.stride(), offset if view.numel() else source.storage_offset())
    return made


def _empty(size: Any, *, dtype: Any = None, memory_format: Any = None, **_: Any) -> torch.Tensor:
    device.enter("empty")
    like = torch.empty(size, dtype=dtype, device="meta", memory_format=memory_format or torch.contiguous_format)
    return device.allocate(like.shape, like.stride(), like.dtype)


def _empty_strided(size: Any, stride: Any, *, dtype: Any = None, **_: Any) -> torch.Tensor:
    device.enter("empty_strided")
    return device.allocate(size, stride, dtype or torch.get_default_dtype())


def _copy_from(source: torch.Tensor, target: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
    device.enter("copy")
    _to_host(target).copy_(_to_host(source))
    return target


def _as_strided(source: torch.Tensor, size: Any, stride: Any, offset: Any = None) -> torch.Tensor:
    made: torch.Tensor = _aten.alias(source)
    return made.as_strided_(size, stride, source.storage_offset() if offset is None else offset)


def _set_storage(target: torch.Tensor, *source: Any) -> torch.Tensor:
    operation = _aten.set_.source_Storage_storage_offset
    operation.redispatch(torch._C.DispatchKeySet(torch._C.DispatchKey.CPU), target, *source)  # asks for no memory
    return target


def _convolve(*args: Any) -> Any:
    return _compute(_aten.convolution.default, *args)


def _convolve_backward(output: Any, image: Any, weight: Any, *options: Any) -> Any:
    *settings, wanted = options
    bias_sizes = [weight.shape[1] * options[-2] if options[4] else weight.shape[0]]
    return _compute(_aten.convolution_backward.default, output, image, weight, bias_sizes, *settings, wanted)


class _Guard(torch._C._acc.DeviceGuard):
    def type_(self) -> Any:
        return torch._C._autograd.DeviceType.PrivateUse1


class _Hooks(torch._C._acc.PrivateUse1Hooks):
    def is_available(self) -> bool:
        return True

    def has_primary_context(self, device_index: int) -> bool:
        return device.is_initialized

    def is_built(self) -> bool:
        return True


class _Module:
    """What torch has as `torch.standin`."""

    def is_available(self) -> bool:
        return True

    def is_initialized(self) -> bool:
        return device.is_initialized

    def device_count(self) -> int:
        return 1

    def current_device(self) -> int:
        return 0

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None:
        return None

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]

    def empty_cache(self) -> None:
        device.enter("empty_cache")

    def synchronize(self, *_: Any) -> None:
        device.enter("synchronize")


class _Storage:
    """Methods of storages, which would ask torch for an allocator of the device."""

    stock_clone: Any = torch.UntypedStorage.clone
    stock_copy: Any = torch.UntypedStorage.copy_

    @staticmethod
    def clone(storage: torch.UntypedStorage) -> Any:
        if storage.device.type != NAME:
            return _Storage.stock_clone(storage)
        device.enter("clone a storage")
        made = device.allocate([storage.nbytes()], [1], torch.uint8).untyped_storage()
        ctypes.memmove(made.data_ptr(), storage.data_ptr(), storage.nbytes())
        return made

    @staticmethod
    def copy(target: torch.UntypedStorage, source: torch.UntypedStorage, non_blocking: bool = False) -> Any:
        if NAME not in (target.device.type, source.device.type):
            return _Storage.stock_copy(target, source, non_blocking)
        device.enter("copy a storage")
        ctypes.memmove(target.data_ptr(), source.data_ptr(), source.nbytes())
        return target


def _register() -> list[torch.library.Library]:
    """Add the device to torch. The libraries hold the registrations."""
    _setup_privateuseone_for_python_backend(NAME, _Module(), _Hooks(), _Guard())
    everything = torch.library.Library("_", "IMPL", "PrivateUse1")
    everything.fallback(_compute)
    own = torch.library.Library("aten", "IMPL", "PrivateUse1")
    for name, function in {
        "empty.memory_format": _empty,
        "empty_strided": _empty_strided,
        "_copy_from": _copy_from,
        "as_strided": _as_strided,
        "set_.source_Storage_storage_offset": _set_storage,
        "convolution_overrideable": _convolve,
        "convolution_backward_overrideable": _convolve_backward,
    }.items():
        own.impl(name, function)
    mixed = torch.library.Library("_", "IMPL", "AutocastPrivateUse1")
    mixed.fallback(torch.library.fallthrough_kernel)  # autocast changes nothing
    torch.UntypedStorage.clone = _Storage.clone  # type: ignore[method-assign, assignment]
    torch.UntypedStorage.copy_ = _Storage.copy  # type: ignore[assignment]
    return [everything, own, mixed]


device = StandInDevice()
_libraries = _register()

"""Copies in host memory of what a notebook has on a device, for processes that cannot use the device.

A fork of a process that uses a GPU cannot: every request to the driver fails there. So before each snapshot the kernel
copies what is on the device, each storage once, and in the fork the notebook's tensors take the copies for their own
and stay the same objects. In the kernel they stay on the device. What has not changed since the last snapshot is not
copied again, so snapshots share memory as forks do; whether it changed is asked of the device, by sums over its bits,
because `tensor.data` can be changed without a trace in torch's version counters.

It runs in the student's kernel, where nothing can be relied on: a notebook that breaks it breaks its own answers.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from grader.sandbox.guest.internals.torch_devices import is_on_device, make_flat_view, make_tensor, set_data

__all__ = ["HostCopies"]

_Base: Any = torch._C.TensorBase
_Storage = torch.UntypedStorage
_to_cpu: Any = _Storage.cpu
_clone: Any = _Storage.clone
_MAX_OBJECTS = 5_000_000
_GIBIBYTE = 2**30


class HostCopies:
    """The copies of one kernel.

    Attributes:
        taken_bytes: how much memory all copies took so far.

    Args:
        limit_bytes: how much memory all copies for all snapshots may take.
        notify: takes a sentence for the report if something is not copied.
    """

    def __init__(self, limit_bytes: int, notify: Callable[[str], None]) -> None:
        self._limit_bytes = limit_bytes
        self._notify = notify
        self.taken_bytes = 0
        self._copies: dict[int, tuple[Any, torch.UntypedStorage]] = {}  # by address: a digest and the copy
        self._tensors: list[tuple[Tensor, torch.UntypedStorage]] = []
        self._used: list[Any] = []  # storages of the device that a fork must not free

    def is_needed(self) -> bool:
        """Return whether this process used a device, so that its forks cannot."""
        kinds = (getattr(torch, name, None) for name in ("cuda", torch._C._get_privateuse1_backend_name()))
        return any(kind is not None and kind.is_initialized() for kind in kinds)

    def take(self) -> None:
        """Copy what is on the device now, in the kernel."""
        if not self.is_needed():
            return
        left_out, failures = 0, 0
        known, self._copies, self._tensors = self._copies, {}, []
        storages: dict[int, torch.UntypedStorage | None] = {}
        with torch.no_grad(), torch._C.DisableTorchFunction():
            for tensor in _find_tensors():
                try:
                    storage = _Base.untyped_storage(tensor)
                except (RuntimeError, NotImplementedError):  # a sparse tensor, for example
                    failures += 1
                    continue
                address = storage._cdata
                try:
                    if address not in storages:
                        storages[address] = self._copy(storage, known.get(address))
                        if storages[address] is None:
                            left_out += storage.nbytes()
                except (RuntimeError, MemoryError):  # an error of the device stays there: nothing can be read any more
                    failures += 1
                    storages[address] = self._keep_known(address, known)
                copied = storages[address]
                if copied is not None:
                    self._tensors.append((tensor, copied))
        if left_out:
            self._notify(
                f"{left_out / _GIBIBYTE:.1f} GiB of tensors on the GPU were not kept for tests: "
                f"copies may take {self._limit_bytes / _GIBIBYTE:.1f} GiB in all"
            )
        if failures:
            self._notify("the GPU could not be read: tests see what was on it at the last snapshot before")

    def _keep_known(self, address: int, known: Any) -> torch.UntypedStorage | None:
        if address not in known:
            return None
        self._copies[address] = known[address]
        copied: torch.UntypedStorage = known[address][1]
        return copied

    def _copy(self, storage: torch.UntypedStorage, known: Any) -> Any:
        """Return a copy of a storage, the one that was made before if it is the same; None if there is no room."""
        digest = _compute_digest(storage)
        if known is not None and known[0] == digest:
            copied = known[1]
        elif self.taken_bytes + storage.nbytes() > self._limit_bytes:
            return None
        else:
            copied = _clone(storage) if storage.device.type == "cpu" else _to_cpu(storage)
            self.taken_bytes += storage.nbytes()
        self._copies[storage._cdata] = (digest, copied)
        return copied

    def settle(self) -> None:
        """Let the notebook's tensors be the copies, in a fork of the kernel."""
        for tensor, copied in self._tensors:
            with suppress(RuntimeError, TypeError):
                self._used.append(_Base.untyped_storage(tensor))
                layout = _Base.storage_offset(tensor), _Base.size(tensor), _Base.stride(tensor)
                data = make_tensor(copied, _Base.dtype.__get__(tensor), *layout)
                if _Base.is_conj(tensor):
                    data = _Base.conj(data)
                set_data(tensor, data)


def _find_tensors() -> Iterator[Tensor]:
    """Return the tensors whose values a fork cannot read, what tests most likely ask for first.

    The collector knows every object of Python that can hold others, so tensors in closures, default arguments,
    attributes and containers of any kind are among them. A gradient and a view's base may have no object yet.
    """
    objects = gc.get_objects()
    tensors = {id(item): item for item in objects if issubclass(type(item), Tensor)}
    for item in objects:
        with suppress(Exception):  # whatever a student's module does when it is looked at
            tensors |= {id(own): own for own in _list_own(item)}
    for tensor in list(tensors.values()):
        for related in (_read_gradient(tensor), _Base._base.__get__(tensor)):
            if related is not None:
                tensors.setdefault(id(related), related)
    ranks = _rank(objects)
    lost = [tensor for tensor in tensors.values() if _is_lost_in_forks(tensor)]
    return iter(sorted(lost, key=lambda tensor: (ranks.get(id(tensor), 1), _Base.numel(tensor))))


def _rank(objects: list[Any]) -> dict[int, int]:
    """Return the rank of some tensors: models' own tensors come first, gradients and states of optimisers last."""
    ranks: dict[int, int] = {}
    for item in objects:
        with suppress(Exception):  # a student may derive anything from these classes
            own = _list_own(item)
            ranks |= dict.fromkeys(map(id, own), 0)
            ranks |= {id(gradient): 2 for gradient in map(_read_gradient, own) if gradient is not None}
            if issubclass(type(item), torch.optim.Optimizer):
                states = (value for state in _read_attributes(item)["state"].values() for value in state.values())
                ranks |= {id(value): 3 for value in states if issubclass(type(value), Tensor)}
    return ranks


def _list_own(item: Any) -> list[Tensor]:
    """Return a module's own tensors, without those of its parts, and without asking a student's methods."""
    if not issubclass(type(item), nn.Module):
        return []
    if issubclass(type(item), torch.jit.ScriptModule):  # has them in C++
        return [*nn.Module.parameters(item), *nn.Module.buffers(item)]
    attributes = _read_attributes(item)
    own = (*attributes["_parameters"].values(), *attributes["_buffers"].values())
    return [tensor for tensor in own if issubclass(type(tensor), Tensor)]


def _read_attributes(item: Any) -> dict[str, Any]:
    attributes: dict[str, Any] = object.__getattribute__(item, "__dict__")
    return attributes


def _read_gradient(tensor: Tensor) -> Tensor | None:
    if not (_Base.is_leaf.__get__(tensor) or _Base.retains_grad.__get__(tensor)):
        return None
    gradient: Tensor | None = _Base.grad.__get__(tensor)
    return gradient


def _is_lost_in_forks(tensor: Tensor) -> bool:
    """Return whether a tensor is on a device or in host memory that the driver keeps from forks (pinned memory)."""
    return is_on_device(tensor) or (not _Base.is_meta.__get__(tensor) and bool(_Base.is_pinned(tensor)))


def _compute_digest(storage: torch.UntypedStorage) -> tuple[int, ...]:
    """Return sums over the rows and columns of a storage's bits. An equal digest means equal values."""
    words = make_flat_view(storage, torch.int64)
    width = max(1, math.isqrt(_Base.numel(words)))
    table = _Base.view(words[: len(words) // width * width], -1, width)
    rest = words[len(words) // width * width :]
    tail = make_flat_view(storage, torch.uint8)[_Base.numel(words) * 8 :]
    sums = [_Base.sum(table, 0), _Base.sum(table, 1), rest, _Base.to(tail, torch.int64)]
    return (storage.nbytes(), *_Base.tolist(torch.cat(sums)))

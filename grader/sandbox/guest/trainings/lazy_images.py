"""Images that a loader gave out and that are not computed before something needs their numbers.

A training on a GPU moves each batch there, and does nothing else with it. To resize the images on the CPU and to copy
the floats would take longer than the training, so the bytes are copied, and the floats are made on the device.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from grader.models.resize import look_up, resize_exactly
from grader.sandbox.guest.internals.torch import as_stock_tensors, become, make_empty_shell, map_tensors

__all__ = ["LazyImages"]

_MAX_TABLES = 16
# What a tensor without memory answers truly. Bound before any student's code runs.
_ANSWERED: frozenset[Any] = frozenset(
    {
        *(getattr(Tensor, name).__get__ for name in ("shape", "dtype", "device", "layout", "ndim", "is_cuda")),
        *(getattr(Tensor, name).__get__ for name in ("requires_grad", "grad", "grad_fn", "is_leaf", "_version")),
        *(Tensor.size, Tensor.dim, Tensor.ndimension, Tensor.numel, Tensor.nelement, Tensor.__len__, Tensor.stride),
        *(Tensor.is_floating_point, Tensor.is_complex, Tensor.is_inference, Tensor.element_size, Tensor.get_device),
        *(torch.numel, torch.is_floating_point, torch.is_complex),
    }
)
_CONVERTS: frozenset[Any] = frozenset({Tensor.to, Tensor.cuda, Tensor.cpu, Tensor.float, Tensor.type})
_PINS: Any = Tensor.pin_memory


@dataclass
class _Deferred:
    """How to compute a batch: as for LazyImages. `computed` is the batch if it could not become a plain tensor."""

    images: Tensor
    size: tuple[int, int]
    table: Tensor
    pinned: bool = False
    computed: Tensor | None = None

    def compute(self, device: torch.device, non_blocking: bool = False) -> Tensor:
        """Return the batch as a plain tensor on a device."""
        images = self.images.to(device, non_blocking=non_blocking)
        values = self.table.view(torch.uint8).numpy().tobytes()
        return look_up(resize_exactly(images, self.size)[:, None], _make_table(values, self.table.dtype, device))


class LazyImages(Tensor):
    """A batch of images, (n, 1, h, w) on the CPU, that has no memory yet.

    It answers for its shape, type and device. Moved to a device, it makes a plain tensor there. With any other use it
    becomes, in all variables that have it, the plain tensor that a loader of torch gives, of torch's own class.

    Args:
        images: (n, height, width) uint8.
        size: the height and width to resize to.
        table: the value of each byte, (256,).
        pinned: whether `images` are in pinned memory.
    """

    @staticmethod
    def __new__(cls, images: Tensor, size: tuple[int, int], table: Tensor, *, pinned: bool = False) -> LazyImages:
        """Return an object without memory."""
        made: LazyImages = make_empty_shell(cls, (len(images), 1, *size), table.dtype)
        return made

    def __init__(self, images: Tensor, size: tuple[int, int], table: Tensor, *, pinned: bool = False) -> None:
        super().__init__()
        self._deferred = _Deferred(images, size, table, pinned)

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        """Do what a function of torch does with the batch, without computing it if that is possible."""
        kwargs = kwargs or {}
        first = args[0] if args else None
        if type(first) is LazyImages and first._deferred.computed is None:
            if func in _ANSWERED:
                with as_stock_tensors():
                    return func(*args, **kwargs)
            if func in _CONVERTS:
                return first._convert(func, args[1:], kwargs)
            if func == _PINS:
                deferred = first._deferred
                pinned = deferred.images.pin_memory(*args[1:], **kwargs)
                return LazyImages(pinned, deferred.size, deferred.table, pinned=True)
        args, kwargs = map_tensors(LazyImages, LazyImages._settle, (args, kwargs))
        return func(*args, **kwargs)

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Do what an operation does that C++ called, when the batch cannot become another tensor."""
        if func is torch.ops.aten.is_pinned.default and args[0]._deferred.computed is None:
            return False  # it has no memory
        args, kwargs = map_tensors(LazyImages, LazyImages._compute_once, (args, kwargs or {}))
        return func(*args, **kwargs)

    def _convert(self, func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Return what `to` or a function like it gives for this batch."""
        probe = torch.empty(0, 1, 1, 1, dtype=self._deferred.table.dtype, device="cpu")
        moved = func(probe, *args, **kwargs)
        if moved is probe and "memory_format" not in kwargs:
            return self
        if not isinstance(moved, Tensor):  # the name of its type
            return moved
        if moved.device.type in ("cpu", "meta"):
            return func(self._settle(), *args, **kwargs)
        return func(self._deferred.compute(moved.device, kwargs.get("non_blocking") is True), *args, **kwargs)

    def _settle(self) -> Tensor:
        """Become a plain tensor, or return one that stands for this object from now on."""
        own = {name: value for name, value in vars(self).items() if name != "_deferred"}
        deferred, computed = self._deferred, self._compute_once()
        deferred.computed = None  # or the two would refer to each other
        if become(self, computed):
            vars(self).update(own)
            return self
        deferred.computed = computed
        return computed

    def _compute_once(self) -> Tensor:
        deferred = self._deferred
        if deferred.computed is None:
            with torch.inference_mode(self.is_inference()):  # as if it had been computed when it was made
                deferred.computed = deferred.compute(torch.device("cpu"))
            if deferred.pinned:
                with suppress(RuntimeError):  # in a fork, which cannot use the device
                    deferred.computed = deferred.computed.pin_memory()
        return deferred.computed


@functools.lru_cache(_MAX_TABLES)
def _make_table(values: bytes, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return a table on a device. It is kept, because each copy would wait for the device."""
    with torch.inference_mode(False):
        return torch.frombuffer(bytearray(values), dtype=dtype).to(device)


# For a cell that prints the type of a batch.
LazyImages.__module__, LazyImages.__name__, LazyImages.__qualname__ = Tensor.__module__, "Tensor", "Tensor"

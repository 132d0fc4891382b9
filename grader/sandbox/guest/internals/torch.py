"""torch: what lies underneath its loss functions, lazy parameters, data loaders and subclasses of Tensor."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree
from torch.utils._device import DeviceContext
from torch.utils.data import DataLoader
from torch.utils.data import _utils as torch_data
from torch.utils.data.dataloader import _BaseDataLoaderIter, _DatasetKind

from grader.sandbox.guest.internals.replacement import overriding, replace_attribute

__all__ = [
    "LOSS_FUNCTIONS",
    "LoaderPass",
    "allow_for_lazy_parameters",
    "as_stock_tensors",
    "become",
    "choose_in_device_contexts",
    "make_empty_shell",
    "map_tensors",
    "read_version",
    "replace_loader_passes",
    "replace_sampler",
]

# What the functions of torch.nn.functional call, however a student imported those: owners, and names in them.
LOSS_FUNCTIONS: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (torch._C._nn, ("cross_entropy_loss", "nll_loss_nd", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")),
    (torch._C._nn, ("multi_margin_loss", "binary_cross_entropy")),
    (torch, ("binary_cross_entropy_with_logits", "kl_div")),
)

# Return how often a tensor was changed in place.
read_version: Callable[[torch.Tensor], int] = attrgetter("_version")


def allow_for_lazy_parameters(method: Any) -> None:
    """Let a replaced method of tensors be called on the parameters of lazy layers, which refuse unknown functions."""
    lazy: Any = nn.parameter
    lazy.UninitializedTensorMixin._allowed_methods.append(method)


def make_empty_shell(kind: type[torch.Tensor], shape: tuple[int, ...], dtype: torch.dtype) -> Any:
    """Return a tensor of a subclass that has a shape, a type and the CPU as its device, but no memory."""
    make: Any = torch.Tensor._make_wrapper_subclass
    return make(kind, shape, dtype=dtype, device="cpu")


def as_stock_tensors() -> Any:
    """Return a context in which functions take tensors of subclasses as if they were torch's own."""
    return torch._C.DisableTorchFunctionSubclass()


def become(tensor: torch.Tensor, other: torch.Tensor) -> bool:
    """Let a tensor be from now on what `other` is, its class and memory too, for all who have it.

    Return False, and leave it as it is, if C++ or a weak reference refers to one of them.
    """
    try:
        with as_stock_tensors():
            torch.utils.swap_tensors(tensor, other)
    except RuntimeError:
        return False
    return True


def map_tensors(kind: type[torch.Tensor], replace: Callable[[Any], Any], values: Any) -> Any:
    """Return nested lists, tuples and dictionaries with each tensor of a class replaced."""
    return pytree.tree_map_only(kind, replace, values)


def choose_in_device_contexts(choose: Callable[[Any], Any]) -> None:
    """Let `with torch.device(...)` make tensors on the device that `choose` returns for the one that is named."""

    def initialise(context: Any, device: Any) -> None:
        stock(context, choose(device))

    stock = replace_attribute(DeviceContext, "__init__", initialise)


def replace_loader_passes(choose: Callable[[DataLoader[Any]], Any]) -> None:
    """Let `choose` return what iterates over a loader, or None for torch's own choice."""

    def get_iterator(loader: DataLoader[Any]) -> Any:
        chosen = choose(loader)
        return stock(loader) if chosen is None else chosen

    stock = replace_attribute(DataLoader, "_get_iterator", get_iterator)


def replace_sampler(loader: DataLoader[Any], make: Callable[[Any], Any]) -> DataLoader[Any]:
    """Return a copy of a loader that has no worker processes and takes its indices from `make(sampler)`."""
    changed = copy.copy(loader)
    sampler = "sampler" if loader.batch_sampler is None else "batch_sampler"
    # Not by setattr, which DataLoader forbids for these.
    vars(changed)[sampler] = make(getattr(loader, sampler))
    vars(changed).update(num_workers=0, prefetch_factor=None, timeout=0)
    return changed


@overriding("_reset", "_next_data")
class LoaderPass(_BaseDataLoaderIter):
    """One pass over a loader, in this process, that draws from torch's generators what torch's own pass would draw.

    With workers, torch asks the sampler for as many batches ahead as the workers hold; a sampler may draw from the
    generator that the model draws from.
    """

    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        self._fetcher = _DatasetKind.create_fetcher(
            self._dataset_kind, self._dataset, self._auto_collation, self._collate_fn, self._drop_last
        )
        self._ahead = loader.num_workers * (loader.prefetch_factor or 0)
        self._drawn: deque[Any] = deque()
        if self._ahead:
            self._reset(loader, first_iter=True)  # torch, too, asks for the sampler's iterator a second time

    def make_batch(self, data_set: Any, indices: Any) -> Any:
        """Return the batch of these indices, or None for what torch collates."""
        return None

    def note_batch(self, data_set: Any, indices: Any, batch: Any) -> None:
        """Take note of a batch that is about to be given out."""

    def _reset(self, loader: Any, first_iter: bool = False) -> None:
        super()._reset(loader, first_iter)
        self._drawn.clear()
        self._draw(self._ahead)

    def _draw(self, number: int) -> None:
        for _ in range(number):
            try:
                self._drawn.append(next(self._sampler_iter))
            except StopIteration:
                return

    def _next_data(self) -> Any:
        if not self._ahead:
            self._draw(1)
        if not self._drawn:
            raise StopIteration
        indices = self._drawn.popleft()
        batch: Any = self.make_batch(self._dataset, indices)
        if batch is None:
            batch = self._fetcher.fetch(indices)
        if self._ahead:
            self._draw(1)
        if self._pin_memory:
            batch = torch_data.pin_memory.pin_memory(batch, self._pin_memory_device)
        self.note_batch(self._dataset, indices, batch)
        return batch

"""Batches of images as torchvision's data sets and transforms give them, made by whole-batch operations from memory.

The batches equal, bit for bit and stride for stride, those that torch collates from single images. Data sets and
transforms that are not recognised are left to torch.

In a kernel with a GPU, a batch is a `LazyImages`: the resized floats are made where they are needed.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, Subset
from torchvision import datasets, transforms  # type: ignore[import-untyped]

from grader.models.resize import resize_exactly, tabulate
from grader.sandbox.guest.trainings.lazy_images import LazyImages

__all__ = ["WholeBatch", "find_side", "find_torchvision_data_set", "read_batch", "resolve_subset"]

_SIDE = 28
_SOURCES = (datasets.MNIST, datasets.FashionMNIST)
_GET_ITEM = datasets.MNIST.__getitem__
_MAX_DEPTH = 3  # a Subset of a ConcatDataset of a data set


@dataclass(frozen=True)
class WholeBatch:
    """A transform of single images as operations on a batch: resize to `size` (height, width), to floats, normalise."""

    size: tuple[int, int]
    normalize: tuple[transforms.Normalize, ...]

    @staticmethod
    def of(transform: Any) -> WholeBatch | None:
        """Return the operations of [Resize,] ToTensor [, Normalize], or None for any other transform."""
        steps = list(transform.transforms) if type(transform) is transforms.Compose else [transform]
        size: tuple[int, int] | None = (_SIDE, _SIDE)
        if steps and type(steps[0]) is transforms.Resize:
            size = _read_size(steps.pop(0))
        if size is None or not steps or type(steps[0]) is not transforms.ToTensor:
            return None
        return WholeBatch(size, tuple(steps[1:])) if all(map(_is_of_one_channel, steps[1:])) else None

    def __call__(self, images: Tensor) -> Tensor:
        """Return uint8 images (B, H, W) as floats (B, 1, h, w)."""
        # The channel comes after the resize, so that the strides imply no memory format.
        return self._scale(resize_exactly(images, self.size)[:, None])

    def defer(self, images: Tensor) -> LazyImages:
        """Return the same floats as a tensor that computes them when and where they are needed."""
        return LazyImages(images, self.size, tabulate(self._scale))

    def _scale(self, images: Tensor) -> Tensor:
        floats = images.to(torch.get_default_dtype()).div_(255)
        for normalize in self.normalize:
            floats = normalize(floats)
        return floats


def _read_size(resize: transforms.Resize) -> tuple[int, int] | None:
    """Return the size that images are resized to, or None if it is not PIL's bilinear resize."""
    sides = (resize.size,) * 2 if isinstance(resize.size, int) else tuple(resize.size)
    height, width = sides * 2 if len(sides) == 1 else sides  # the images are square
    bilinear = resize.interpolation == transforms.InterpolationMode.BILINEAR and resize.max_size is None
    mixed = height < _SIDE < width  # versions of PIL differ in what they do first
    return (height, width) if bilinear and min(height, width) > 0 and not mixed else None


def _is_of_one_channel(step: Any) -> bool:
    """Return whether a step is a Normalize by one mean and one deviation."""
    if type(step) is not transforms.Normalize:
        return False
    try:
        return all(torch.as_tensor(value, device="cpu").numel() == 1 for value in (step.mean, step.std))
    except (TypeError, ValueError, RuntimeError):  # torch raises it in the student's cell
        return False


def find_side(data_set: Any) -> int | None:
    """Return the longer side of a data set's images after its transform, or None if it is not recognised."""
    while type(data_set) is Subset:
        data_set = data_set.dataset
    plan = _plan(data_set)
    return None if plan is None else max(plan.size)


def _plan(source: Any) -> WholeBatch | None:
    """Return how to make batches of a data set as it is now, or None if it is not recognised."""
    if type(source) not in _SOURCES or type(source).__getitem__ is not _GET_ITEM or source.target_transform is not None:
        return None
    images, labels = source.data, source.targets
    if not _is_plain_tensor(images, torch.uint8) or images.shape[1:] != (_SIDE, _SIDE):
        return None
    if not _is_plain_tensor(labels, torch.int64) or labels.ndim != 1:
        return None
    return WholeBatch.of(source.transform)


def _is_plain_tensor(value: Any, dtype: torch.dtype) -> bool:
    return type(value) is Tensor and value.dtype == dtype and value.device.type == "cpu"


def resolve_subset(data_set: Any, indices: Iterable[Any]) -> tuple[Any, list[int]]:
    """Return the data set below Subsets, and the indices there.

    Raises:
        IndexError, TypeError, ValueError: an index is not in a Subset, or not a whole number.
    """
    while type(data_set) is Subset:
        indices = [data_set.indices[index] for index in indices]
        data_set = data_set.dataset
    return data_set, [operator.index(index) for index in indices]


def read_batch(data_set: Any, indices: Any, *, lazy: bool = False) -> list[Tensor] | None:
    """Return [images (B, 1, h, w), labels (B,)] as they are now, or None if the data set is not recognised.

    Args:
        data_set: torchvision's, or a Subset of it.
        indices: of the batch.
        lazy: let the images be computed where they are needed.
    """
    try:
        source, positions = resolve_subset(data_set, indices)
    except (TypeError, ValueError):
        return None
    plan = _plan(source)
    if plan is None or not positions:
        return None
    count = len(source.data)
    chosen, from_start = (
        torch.tensor(numbers, device="cpu") for numbers in (positions, [n + count if n < 0 else n for n in positions])
    )
    images = source.data.index_select(0, from_start)
    # torch collates labels from numbers, so that they come on the device that a student made the default.
    labels = source.targets[chosen].to(torch.get_default_device())
    return [plan.defer(images) if lazy else plan(images), labels]


def find_torchvision_data_set(data_set: Any, kind: type = datasets.MNIST, depth: int = _MAX_DEPTH) -> Any:
    """Return the data set of a kind of torchvision's that a data set is or contains, or None."""
    if isinstance(data_set, kind) or depth == 0:
        return data_set if depth else None
    values = list(getattr(data_set, "__dict__", {}).values())
    values += [entry for value in values if isinstance(value, list | tuple) for entry in value[:_MAX_DEPTH]]
    found = (find_torchvision_data_set(value, kind, depth - 1) for value in values if isinstance(value, Dataset))
    return next((source for source in found if source is not None), None)

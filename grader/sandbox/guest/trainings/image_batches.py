"""Batches of images as torchvision's data sets and transforms give them, made by whole-batch operations from memory.

What comes out is the same, bit for bit and stride for stride, as what torch's stock path collates from single images;
whatever is not recognised is left to that path.
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

__all__ = ["EXACT_SIDES", "WholeBatch", "find_side", "find_torchvision_data_set", "read_batch", "resolve_subset"]

_SIDE = 28
# For these sides torch's resizing of bytes rounds as PIL's does, whatever the pixels (tests/sandbox/
# test_image_batches.py proves it); for many others (33, 227) it does not, because its weights have fewer bits.
EXACT_SIDES = frozenset({28, 32, 36, 40, 48, 56, 60, 64, 80, 96, 112, 128, 160, 192, 196, 224, 256})
_SOURCES = (datasets.MNIST, datasets.FashionMNIST)
_GET_ITEM = datasets.MNIST.__getitem__
_DEEPEST = 3  # a Subset of a ConcatDataset of a data set


@dataclass(frozen=True)
class WholeBatch:
    """A transform of single images as operations on a batch: resize to `size` (height, width), to floats, normalise."""

    size: tuple[int, int] | None
    normalize: tuple[transforms.Normalize, ...]

    @staticmethod
    def of(transform: Any) -> WholeBatch | None:
        """Return what a transform does; None where it is none of [Resize,] ToTensor [, Normalize]."""
        steps = list(transform.transforms) if type(transform) is transforms.Compose else [transform]
        size = None
        if steps and type(steps[0]) is transforms.Resize:
            size = _size_of(steps.pop(0))
            if size is None:
                return None
        if not steps or type(steps[0]) is not transforms.ToTensor:
            return None
        if any(type(step) is not transforms.Normalize for step in steps[1:]):
            return None
        return WholeBatch(None if size == (_SIDE, _SIDE) else size, tuple(steps[1:]))

    def __call__(self, images: Tensor) -> Tensor:
        """Return uint8 images (B, H, W) as floats (B, 1, h, w)."""
        if self.size is not None:
            resized = torch.nn.functional.interpolate(images[:, None], self.size, mode="bilinear", antialias=True)
            images = resized[:, 0]  # without the channel no memory format can be read out of the strides
        floats = images[:, None].to(torch.get_default_dtype()).div_(255)
        for normalize in self.normalize:
            floats = normalize(floats)
        return floats


def _size_of(resize: transforms.Resize) -> tuple[int, int] | None:
    sides = (resize.size,) * 2 if isinstance(resize.size, int) else tuple(resize.size)
    sides = sides * 2 if len(sides) == 1 else sides  # the images are square
    bilinear = resize.interpolation == transforms.InterpolationMode.BILINEAR and resize.max_size is None
    return sides if bilinear and set(sides) <= EXACT_SIDES else None


def find_side(data_set: Any) -> int | None:
    """Return the longer side of a data set's images as a loader gives them; None where it is not recognised."""
    while type(data_set) is Subset:
        data_set = data_set.dataset
    plan = _plan(data_set)
    return None if plan is None else max(plan.size or (_SIDE, _SIDE))


def _plan(source: Any) -> WholeBatch | None:
    """Return how to make batches of a data set as it is now."""
    if type(source) not in _SOURCES or type(source).__getitem__ is not _GET_ITEM or source.target_transform is not None:
        return None
    images, labels = source.data, source.targets
    if type(images) is not Tensor or images.dtype != torch.uint8 or images.shape[1:] != (_SIDE, _SIDE):
        return None
    if type(labels) is not Tensor or labels.dtype != torch.int64 or labels.ndim != 1:
        return None
    return WholeBatch.of(source.transform)


def resolve_subset(data_set: Any, indices: Iterable[Any]) -> tuple[Any, list[int]]:
    """Return the data set that lies below Subsets, and the places there; raises where an index is no whole number."""
    while type(data_set) is Subset:
        indices = [data_set.indices[index] for index in indices]
        data_set = data_set.dataset
    return data_set, [operator.index(index) for index in indices]


def read_batch(data_set: Any, indices: Any) -> list[Tensor] | None:
    """Return [images (B, 1, h, w), labels (B,)] as they are now; None where only the stock path knows them."""
    try:
        source, places = resolve_subset(data_set, indices)
    except (TypeError, ValueError):
        return None
    plan = _plan(source)
    if plan is None or not places:
        return None
    chosen = torch.tensor(places)
    return [plan(source.data[chosen]), source.targets[chosen]]


def find_torchvision_data_set(data_set: Any, depth: int = _DEEPEST) -> Any:
    """Return the torchvision data set that a data set is or holds; None where there is none."""
    if isinstance(data_set, datasets.MNIST) or depth == 0:
        return data_set if depth else None
    held = list(getattr(data_set, "__dict__", {}).values())
    held += [entry for value in held if isinstance(value, list | tuple) for entry in value[:_DEEPEST]]
    found = (find_torchvision_data_set(value, depth - 1) for value in held if isinstance(value, Dataset))
    return next((source for source in found if source is not None), None)

"""Batches of images as torchvision's data sets and transforms give them, made by whole-batch operations from memory.

The batches equal, bit for bit and stride for stride, those that torch collates from single images. Data sets and
transforms that are not recognised are left to torch.
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
# For these sides torch's resizing of bytes rounds like PIL's, whatever the pixels (test_image_batches.py proves it).
# For many others (33, 227) it does not, because its weights have fewer bits.
EXACT_SIDES = frozenset({28, 32, 36, 40, 48, 56, 60, 64, 80, 96, 112, 128, 160, 192, 196, 224, 256})
_SOURCES = (datasets.MNIST, datasets.FashionMNIST)
_GET_ITEM = datasets.MNIST.__getitem__
_MAX_DEPTH = 3  # a Subset of a ConcatDataset of a data set


@dataclass(frozen=True)
class WholeBatch:
    """A transform of single images as operations on a batch: resize to `size` (height, width), to floats, normalise.

    `size` is None if the images keep their size.
    """

    size: tuple[int, int] | None
    normalize: tuple[transforms.Normalize, ...]

    @staticmethod
    def of(transform: Any) -> WholeBatch | None:
        """Return the operations of [Resize,] ToTensor [, Normalize], or None for any other transform."""
        steps = list(transform.transforms) if type(transform) is transforms.Compose else [transform]
        size = None
        if steps and type(steps[0]) is transforms.Resize:
            size = _read_size(steps.pop(0))
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
            images = resized[:, 0]  # without the channel, so that the strides imply no memory format
        floats = images[:, None].to(torch.get_default_dtype()).div_(255)
        for normalize in self.normalize:
            floats = normalize(floats)
        return floats


def _read_size(resize: transforms.Resize) -> tuple[int, int] | None:
    """Return the size that images are resized to, or None if torch does not resize bytes exactly like PIL."""
    sides = (resize.size,) * 2 if isinstance(resize.size, int) else tuple(resize.size)
    sides = sides * 2 if len(sides) == 1 else sides  # the images are square
    bilinear = resize.interpolation == transforms.InterpolationMode.BILINEAR and resize.max_size is None
    return sides if bilinear and set(sides) <= EXACT_SIDES else None


def find_side(data_set: Any) -> int | None:
    """Return the longer side of a data set's images after its transform, or None if it is not recognised."""
    while type(data_set) is Subset:
        data_set = data_set.dataset
    plan = _plan(data_set)
    return None if plan is None else max(plan.size or (_SIDE, _SIDE))


def _plan(source: Any) -> WholeBatch | None:
    """Return how to make batches of a data set as it is now, or None if it is not recognised."""
    if type(source) not in _SOURCES or type(source).__getitem__ is not _GET_ITEM or source.target_transform is not None:
        return None
    images, labels = source.data, source.targets
    if type(images) is not Tensor or images.dtype != torch.uint8 or images.shape[1:] != (_SIDE, _SIDE):
        return None
    if type(labels) is not Tensor or labels.dtype != torch.int64 or labels.ndim != 1:
        return None
    return WholeBatch.of(source.transform)


def resolve_subset(data_set: Any, indices: Iterable[Any]) -> tuple[Any, list[int]]:
    """Return the data set below Subsets, and the indices there.

    Raises:
        IndexError, TypeError, ValueError: an index is not in a Subset, or not a whole number.
    """
    while type(data_set) is Subset:
        indices = [data_set.indices[index] for index in indices]
        data_set = data_set.dataset
    return data_set, [operator.index(index) for index in indices]


def read_batch(data_set: Any, indices: Any) -> list[Tensor] | None:
    """Return [images (B, 1, h, w), labels (B,)] as they are now, or None if the data set is not recognised."""
    try:
        source, positions = resolve_subset(data_set, indices)
    except (TypeError, ValueError):
        return None
    plan = _plan(source)
    if plan is None or not positions:
        return None
    chosen = torch.tensor(positions)
    return [plan(source.data[chosen]), source.targets[chosen]]


def find_torchvision_data_set(data_set: Any, kind: type = datasets.MNIST, depth: int = _MAX_DEPTH) -> Any:
    """Return the data set of a kind of torchvision's that a data set is or contains, or None."""
    if isinstance(data_set, kind) or depth == 0:
        return data_set if depth else None
    values = list(getattr(data_set, "__dict__", {}).values())
    values += [entry for value in values if isinstance(value, list | tuple) for entry in value[:_MAX_DEPTH]]
    found = (find_torchvision_data_set(value, kind, depth - 1) for value in values if isinstance(value, Dataset))
    return next((source for source in found if source is not None), None)

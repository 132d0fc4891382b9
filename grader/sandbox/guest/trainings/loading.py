"""Trainings as written but fast, and cut to a few batches in mode `quick`: what happens underneath torch's DataLoader.

A loader over Fashion-MNIST or MNIST gives the batches that it would give anyway, made by whole-batch operations in this
process. All random numbers are drawn from torch's generators in torch's own order, so trained weights are the same, bit
for bit. What is not recognised is left to torch.

A change to a data set shows at the next batch; with torch's own worker processes it would show in the next pass.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy
from torch import Tensor
from torch.utils.data import DataLoader, default_collate
from torchvision.datasets import VisionDataset  # type: ignore[import-untyped]

from grader.models.recipe import Mode
from grader.sandbox.guest.internals.torch import LoaderPass, replace_loader_passes, replace_sampler
from grader.sandbox.guest.trainings.image_batches import (
    find_side,
    find_torchvision_data_set,
    read_batch,
    resolve_subset,
)
from grader.sandbox.guest.trainings.left_out import LeftOutTrainings

__all__ = ["NOTICE", "LatestBatch", "LoadedBatch", "install_fast_loading"]

NOTICE = "graded with --training quick: this training sees a few batches only"
# In quick mode, of training images: how many batches a cell gets before each of its passes gives one batch only.
_BATCHES = 4
# The most images of those batches and of the later ones, by the images' longer side. A VGG takes 70 ms for one of 224
# and 1 ms for one of 28. Cells that show images need more of them than a training does.
_MOST_IMAGES = {32: (64, 64), 128: (8, 4)}
_FEWEST_IMAGES = (4, 2)  # batch normalisation needs two


class LoadedBatch(NamedTuple):
    """A batch as a loader gave it out: images (B, C, H, W), labels (B,), their indices in torchvision's data set."""

    images: Tensor
    labels: Tensor
    indices: tuple[int, ...]
    data_set: Any


class LatestBatch:
    """The last batch of training images that a loader of this kernel gave out, if its indices are known."""

    _latest: LoadedBatch | None = None

    @classmethod
    def latest(cls) -> LoadedBatch | None:
        """Return the batch, or None if there was none or the last one came from an unknown data set."""
        return cls._latest

    @classmethod
    def note(cls, data_set: Any, indices: Any, batch: Any) -> None:
        """Take note of what a loader over a data set gives out. Batches of test images are ignored."""
        source = find_torchvision_data_set(data_set)
        if source is None or not source.train:
            return
        cls._latest = None
        try:
            resolved, positions = resolve_subset(data_set, indices)
        except (IndexError, TypeError, ValueError):
            return
        match batch:
            case [Tensor() as images, Tensor() as labels] if resolved is source:
                cls._latest = LoadedBatch(images, labels, tuple(positions), source)


def install_fast_loading(shell: Any, mode: Mode, left_out: LeftOutTrainings, *, with_gpu: bool = False) -> None:
    """Make every loader over torchvision's data sets fast from now on, and short if `mode` is quick.

    Args:
        shell: IPython's.
        mode: how trainings run.
        left_out: is asked before each batch of a data set that is not trained on.
        with_gpu: whether the kernel has a GPU. Images that are moved there are then made there.
    """
    cut = _Cut() if mode is Mode.QUICK else None
    if cut:
        shell.events.register("pre_run_cell", cut.begin_cell)

    def choose(loader: DataLoader[Any]) -> _FastPass | None:
        source = find_torchvision_data_set(loader.dataset, VisionDataset)
        if source is not None and left_out.concerns(source):
            return _WatchedPass(loader, left_out)
        source = find_torchvision_data_set(loader.dataset)
        if source is not None and cut:
            return _FastPass(cut.shorten(loader, source))
        if _is_plain(loader):
            return _FastPass(loader, lazy=with_gpu)
        if source is not None:
            LatestBatch.note(source, (), None)
        return None

    replace_loader_passes(choose)


def _is_plain(loader: DataLoader[Any]) -> bool:
    """Return whether a loader collates images of a recognised data set as torch does by default."""
    collates = loader.batch_sampler is not None and loader.collate_fn is default_collate
    return collates and loader.worker_init_fn is None and find_side(loader.dataset) is not None


class _FastPass(LoaderPass):
    """One pass over a loader, with whole-batch operations if the loader is plain."""

    def __init__(self, loader: DataLoader[Any], *, lazy: bool = False) -> None:
        super().__init__(loader)
        self._plain = _is_plain(loader)
        self._lazy = lazy

    def make_batch(self, data_set: Any, indices: Any) -> Any:
        return read_batch(data_set, indices, lazy=self._lazy) if self._plain else None

    def note_batch(self, data_set: Any, indices: Any, batch: Any) -> None:
        LatestBatch.note(data_set, indices, batch)


class _WatchedPass(_FastPass):
    """One pass over a data set that is not trained on."""

    def __init__(self, loader: DataLoader[Any], left_out: LeftOutTrainings) -> None:
        super().__init__(loader)
        self._left_out = left_out

    def make_batch(self, data_set: Any, indices: Any) -> Any:
        self._left_out.before_batch()
        return super().make_batch(data_set, indices)

    def note_batch(self, data_set: Any, indices: Any, batch: Any) -> None:
        self._left_out.after_batch(batch)


class _Cut:
    """How much the loaders of a cell still give in quick mode."""

    def __init__(self) -> None:
        self._left = _BATCHES
        self._announced = False

    def begin_cell(self, *_: object) -> None:
        """Start anew for a cell."""
        self._left = _BATCHES
        self._announced = False

    def shorten(self, loader: DataLoader[Any], source: Any) -> DataLoader[Any]:
        """Return a loader that gives the beginning of what `loader` gives, without worker processes."""
        side = find_side(loader.dataset)
        sizes = (size for most, size in _MOST_IMAGES.items() if side is not None and side <= most)
        images = next(sizes, _FEWEST_IMAGES)
        return replace_sampler(loader, lambda sampler: _FewBatches(sampler, self, source.train, *images))

    def take_few(self, batches: Iterable[Any], training: bool, images: int, images_later: int) -> Iterator[Any]:
        """Return the beginning of one pass over batches of indices."""
        if not self._announced:
            self._announced = True
            sys.stdout.write(f"{NOTICE}\n")
        number = self._left if training else 0
        most = images if number else images_later
        for batch in itertools.islice(batches, max(number, 1)):
            self._left -= bool(number)
            yield batch[:most] if isinstance(batch, Sequence | Tensor | numpy.ndarray) else batch


@dataclass(frozen=True)
class _FewBatches:
    """A sampler cut short. Its length stays as it was, because students divide by it."""

    sampler: Any
    cut: _Cut
    training: bool
    images: int
    images_later: int

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Any]:
        return self.cut.take_few(self.sampler, self.training, self.images, self.images_later)

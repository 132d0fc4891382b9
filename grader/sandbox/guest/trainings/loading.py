"""What happens underneath torch's DataLoader: trainings as written but fast, and in `quick` cut to a few batches.

It runs in the student's kernel. A loader over Fashion-MNIST or MNIST gives the batches that it would give anyway, made
by whole-batch operations in this process. Everything that torch's generators give out is drawn in the stock order, so
trained weights are the same, bit for bit. What is not recognised is left to torch.

What the student changes in a data set is seen at the next batch; torch's own worker processes would see it in the next
pass only.
"""

from __future__ import annotations

import copy
import itertools
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy
from torch import Tensor
from torch.utils.data import DataLoader, default_collate
from torch.utils.data import _utils as torch_data
from torch.utils.data.dataloader import _BaseDataLoaderIter, _DatasetKind

from grader.models.recipe import Mode
from grader.sandbox.guest.trainings.image_batches import (
    find_side,
    find_torchvision_data_set,
    read_batch,
    resolve_subset,
)

__all__ = ["NOTICE", "LatestBatch", "LoadedBatch", "install_fast_loading"]

NOTICE = "graded with --training quick: this training sees a few batches only"
# In quick, of training images: how many batches a cell gets before each of its passes gives one batch only.
_BATCHES = 4
# The most images of those batches and of the later ones, by the images' longer side. A VGG takes 70 ms for one of 224
# and 1 ms for one of 28; cells that show images ask for more than a training needs.
_MOST_IMAGES = {32: (64, 64), 128: (8, 4)}
_FEWEST_IMAGES = (4, 2)  # batch normalisation needs two


class LoadedBatch(NamedTuple):
    """A batch as a loader gave it out: images (B, C, H, W), labels (B,), and their places in torchvision's data set."""

    images: Tensor
    labels: Tensor
    indices: tuple[int, ...]
    data_set: Any


class LatestBatch:
    """The last batch of training images that a loader of this kernel gave out, where its places are known."""

    _latest: LoadedBatch | None = None

    @classmethod
    def latest(cls) -> LoadedBatch | None:
        """Return it; None where there was none, or where the last one came from what is not recognised."""
        return cls._latest

    @classmethod
    def note(cls, data_set: Any, indices: Any, batch: Any) -> None:
        """Take note of what a loader over a data set gives out; batches of test images are passed over."""
        source = find_torchvision_data_set(data_set)
        if source is None or not source.train:
            return
        cls._latest = None
        try:
            found, places = resolve_subset(data_set, indices)
        except (IndexError, TypeError, ValueError):
            return
        match batch:
            case [Tensor() as images, Tensor() as labels] if found is source:
                cls._latest = LoadedBatch(images, labels, tuple(places), source)


def install_fast_loading(shell: Any, mode: str) -> None:
    """Have every loader over torchvision's data sets take the fast way from now on, and cut it where `mode` is quick.

    Args:
        shell: IPython's, which tells when a cell begins.
        mode: a `Mode` in which there is data.
    """
    stock = DataLoader._get_iterator
    cut = _Cut() if mode == Mode.QUICK else None
    if cut:
        shell.events.register("pre_run_cell", cut.renew)

    def get_iterator(loader: DataLoader[Any]) -> _BaseDataLoaderIter:
        source = find_torchvision_data_set(loader.dataset)
        if source is not None and cut:
            return _BatchIterator(cut.shortened(loader, source))
        if _is_plain(loader):
            return _BatchIterator(loader)
        if source is not None:
            LatestBatch.note(source, (), None)
        return stock(loader)

    DataLoader._get_iterator = get_iterator  # type: ignore[assignment]


def _is_plain(loader: DataLoader[Any]) -> bool:
    """Tell whether a loader collates images of a recognised data set as torch does by default."""
    collates = loader.batch_sampler is not None and loader.collate_fn is default_collate
    return collates and loader.worker_init_fn is None and find_side(loader.dataset) is not None


class _BatchIterator(_BaseDataLoaderIter):
    """One pass over a loader, in this process, drawing from torch's generators what the stock pass would draw.

    With workers, torch asks the sampler for as many batches ahead as the workers hold; a sampler may draw from the
    generator that the model draws from.
    """

    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        self._plain = _is_plain(loader)
        self._fetcher = _DatasetKind.create_fetcher(
            self._dataset_kind, self._dataset, self._auto_collation, self._collate_fn, self._drop_last
        )
        self._ahead = loader.num_workers * (loader.prefetch_factor or 0)
        self._waiting: deque[Any] = deque()
        if self._ahead:
            self._reset(loader, first_iter=True)  # torch asks for the sampler's iterator a second time, too

    def _reset(self, loader: Any, first_iter: bool = False) -> None:
        super()._reset(loader, first_iter)
        self._waiting.clear()
        self._draw(self._ahead)

    def _draw(self, number: int) -> None:
        for _ in range(number):
            try:
                self._waiting.append(next(self._sampler_iter))
            except StopIteration:
                return

    def _next_data(self) -> Any:
        if not self._ahead:
            self._draw(1)
        if not self._waiting:
            raise StopIteration
        indices = self._waiting.popleft()
        batch: Any = read_batch(self._dataset, indices) if self._plain else None
        if batch is None:
            batch = self._fetcher.fetch(indices)
        if self._ahead:
            self._draw(1)
        if self._pin_memory:
            batch = torch_data.pin_memory.pin_memory(batch, self._pin_memory_device)
        LatestBatch.note(self._dataset, indices, batch)
        return batch


class _Cut:
    """How much the loaders of a cell still give in `quick`."""

    def __init__(self) -> None:
        self._left = _BATCHES
        self._said = False

    def renew(self, *_: object) -> None:
        """Begin a cell."""
        self._left = _BATCHES
        self._said = False

    def shortened(self, loader: DataLoader[Any], source: Any) -> DataLoader[Any]:
        """Return a loader that gives the beginning of what this one gives, without processes of its own."""
        side = find_side(loader.dataset)
        sizes = (size for most, size in _MOST_IMAGES.items() if side is not None and side <= most)
        short = copy.copy(loader)
        sampler = "sampler" if loader.batch_sampler is None else "batch_sampler"
        # Past DataLoader.__setattr__, which forbids it.
        vars(short)[sampler] = _FewBatches(getattr(loader, sampler), self, source.train, *next(sizes, _FEWEST_IMAGES))
        vars(short).update(num_workers=0, prefetch_factor=None, timeout=0)
        return short

    def few(self, batches: Iterable[Any], training: bool, images: int, images_later: int) -> Iterator[Any]:
        """Give the beginning of one pass over batches of indices."""
        if not self._said:
            self._said = True
            sys.stdout.write(f"{NOTICE}\n")
        number = self._left if training else 0
        most = images if number else images_later
        for batch in itertools.islice(batches, max(number, 1)):
            self._left -= bool(number)
            yield batch[:most] if isinstance(batch, Sequence | Tensor | numpy.ndarray) else batch


@dataclass(frozen=True)
class _FewBatches:
    """A sampler cut short; its length stays what it was, because students divide by it."""

    sampler: Any
    cut: _Cut
    training: bool
    images: int
    images_later: int

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Any]:
        return self.cut.few(self.sampler, self.training, self.images, self.images_later)

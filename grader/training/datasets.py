"""Fashion-MNIST and MNIST as tensors, and the half of their test images that a student's code may see."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from grader.cache_folder import cache_folder, write_whole
from grader.training.idx import FILES, DataSetFiles, compute_digest, locate, read_files, write_header

__all__ = ["SHOWN", "DataSet", "find_data_set", "make_shown_folder"]

SHOWN = 5_000  # of the 10,000 official test images


@dataclass(frozen=True, eq=False)  # compared by identity, because tensors have no one answer
class DataSet:
    """A data set: images (n, 28, 28) uint8 and labels (n,) int64.

    The sandbox may read the training images and those shown. Those withheld never enter it, and accuracy is measured on
    them. `sha256` is that of the four uncompressed files one after the other.
    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    shown_images: Tensor
    shown_labels: Tensor
    withheld_images: Tensor
    withheld_labels: Tensor
    sha256: str


def find_data_set(name: str = "FashionMNIST", folder: Path | None = None, cache: Path | None = None) -> DataSet | None:
    """Return a data set from a folder, else from Debian's package, else from the cache; None where nobody has it.

    It is read once in a process as long as its files do not change; nobody may write to its tensors.

    Args:
        name: one of `DATA_SETS`.
        folder: where its files must be, directly or in <name>/raw below it, compressed or not.
        cache: the cache; None for `cache_folder()`.

    Raises:
        InputError: the name is not known, the folder that was given lacks files, or files are broken.
    """
    place = locate(name, folder, cache)
    return _loaded(place, _stamp(place), cache) if place else None


def make_shown_folder(data_set: DataSet, cache: Path | None = None) -> Path:
    """Return a folder with the four uncompressed files, by torchvision's names, without what is withheld.

    Everybody may read it. A file that is missing or does not match is written, whole or not at all, so several graders
    may ask at once.

    Raises:
        OSError: the disk is full.
    """
    folder = (cache or cache_folder()) / "data" / "shown" / f"{data_set.name}-{data_set.sha256[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    shown = (data_set.train_images, data_set.train_labels, data_set.shown_images, data_set.shown_labels)
    for file, values in zip(FILES, shown, strict=True):
        content = write_header(tuple(values.shape)) + values.to(torch.uint8).numpy().tobytes()
        if not _holds(folder / file, content):
            write_whole(folder / file, content)
    return folder


def _holds(path: Path, content: bytes) -> bool:
    """Tell whether a file is this one and everybody may read it."""
    try:
        about = path.stat()
        return about.st_size == len(content) and about.st_mode & 0o444 == 0o444 and path.read_bytes() == content
    except OSError:
        return False


def _stamp(place: DataSetFiles) -> tuple[tuple[int, int], ...]:
    """Tell one state of the files from the next."""
    about = [path.stat() for file in FILES if (path := place.path(file))]
    return tuple((each.st_size, each.st_mtime_ns) for each in about)


@lru_cache(maxsize=4)
def _loaded(place: DataSetFiles, stamp: tuple[tuple[int, int], ...], cache: Path | None) -> DataSet:
    contents = read_files(place, cache)
    train_images, train_labels, test_images, test_labels = (_tensor(contents[file], file) for file in FILES)
    return DataSet(
        name=place.name,
        train_images=train_images,
        train_labels=train_labels.long(),
        shown_images=test_images[:SHOWN],
        shown_labels=test_labels[:SHOWN].long(),
        withheld_images=test_images[SHOWN:],
        withheld_labels=test_labels[SHOWN:].long(),
        sha256=compute_digest(contents),
    )


def _tensor(content: bytearray, file: str) -> Tensor:
    shape = FILES[file]
    return torch.frombuffer(content, dtype=torch.uint8, offset=len(write_header(shape))).reshape(shape)

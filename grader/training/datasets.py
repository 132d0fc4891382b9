"""Fashion-MNIST and MNIST as tensors, and the half of their test images that student code may read."""

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


@dataclass(frozen=True, eq=False)  # compared by identity, because == of tensors is not one bool
class DataSet:
    """A data set: images (n, 28, 28) uint8 and labels (n,) int64.

    The sandbox may read the training images and the shown test images. Accuracy is measured on the withheld test
    images, which never enter it. `sha256` is the hash of the four uncompressed files one after the other.
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
    """Return a data set from `folder`, or from Debian's package or the cache. Return None if it is missing.

    A process reads it once as long as its files do not change. Do not write to its tensors.

    Args:
        name: one of `DATA_SETS`.
        folder: the folder that its files must be in, directly or in <name>/raw, compressed or not.
        cache: the cache; None for `cache_folder()`.

    Raises:
        InputError: the name is unknown, the folder lacks files, or files are broken.
    """
    files = locate(name, folder, cache)
    return _load(files, _stamp(files), cache) if files else None


def make_shown_folder(data_set: DataSet, cache: Path | None = None) -> Path:
    """Return a folder with the four uncompressed files under torchvision's names, without the withheld images.

    Every user may read it. Files that are missing or differ are written atomically, so several graders may call this
    at once.

    Raises:
        OSError: the disk is full.
    """
    folder = (cache or cache_folder()) / "data" / "shown" / f"{data_set.name}-{data_set.sha256[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    shown = (data_set.train_images, data_set.train_labels, data_set.shown_images, data_set.shown_labels)
    for file, values in zip(FILES, shown, strict=True):
        content = write_header(tuple(values.shape)) + values.to(torch.uint8).numpy().tobytes()
        if not _has_content(folder / file, content):
            write_whole(folder / file, content)
    return folder


def _has_content(path: Path, content: bytes) -> bool:
    """Return whether a file has this content and every user may read it."""
    try:
        status = path.stat()
        return status.st_size == len(content) and status.st_mode & 0o444 == 0o444 and path.read_bytes() == content
    except OSError:
        return False


def _stamp(files: DataSetFiles) -> tuple[tuple[int, int], ...]:
    """Return sizes and times of the files, which differ if they have changed."""
    stats = [path.stat() for file in FILES if (path := files.path(file))]
    return tuple((status.st_size, status.st_mtime_ns) for status in stats)


@lru_cache(maxsize=4)
def _load(files: DataSetFiles, stamp: tuple[tuple[int, int], ...], cache: Path | None) -> DataSet:
    contents = read_files(files, cache)
    train_images, train_labels, test_images, test_labels = (_to_tensor(contents[file], file) for file in FILES)
    return DataSet(
        name=files.name,
        train_images=train_images,
        train_labels=train_labels.long(),
        shown_images=test_images[:SHOWN],
        shown_labels=test_labels[:SHOWN].long(),
        withheld_images=test_images[SHOWN:],
        withheld_labels=test_labels[SHOWN:].long(),
        sha256=compute_digest(contents),
    )


def _to_tensor(content: bytearray, file: str) -> Tensor:
    shape = FILES[file]
    return torch.frombuffer(content, dtype=torch.uint8, offset=len(write_header(shape))).reshape(shape)

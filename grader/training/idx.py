"""The files of Fashion-MNIST and MNIST: where they are, and what is in them.

The format is IDX: two zero bytes, the type of an entry, the number of dimensions, each dimension as four bytes, then
the entries (LeCun, Cortes, Burges, "The MNIST database"). Each data set has four files of sizes that never vary.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import stat
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from grader.cache_folder import cache_folder, write_whole
from grader.errors import InputError

__all__ = [
    "DATA_SETS",
    "FILES",
    "DataSetFiles",
    "compute_digest",
    "decode_file",
    "locate",
    "make_advice",
    "read_files",
    "write_header",
]

DATA_SETS = ("FashionMNIST", "MNIST")  # torchvision's names
FILES: Mapping[str, tuple[int, ...]] = {  # torchvision's names, without .gz
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}
CLASSES = 10

_DEBIAN = {"FashionMNIST": Path("/usr/share/datasets/fashion-mnist")}
_INSTALL = {"FashionMNIST": "sudo apt-get install dataset-fashion-mnist, or "}
_UNSIGNED_BYTES = 8
_SLACK = 2**16  # what compression may add to data that it cannot make smaller


@dataclass(frozen=True)
class DataSetFiles:
    """Where a data set's files are; `origin` is what brought them there, in words."""

    name: str
    folder: Path
    origin: str

    def path(self, file: str) -> Path | None:
        """Return where one of `FILES` is, as it is or compressed, None where it is missing."""
        found = (self.folder / file, self.folder / f"{file}.gz")
        return next((path for path in found if os.path.exists(path)), None)  # noqa: PTH110 - never raises

    @property
    def missing(self) -> list[str]:
        """Those of `FILES` that are not there."""
        return [file for file in FILES if self.path(file) is None]


def locate(name: str, folder: Path | None = None, cache: Path | None = None) -> DataSetFiles | None:
    """Find the files of a data set.

    Args:
        name: one of `DATA_SETS`.
        folder: where they must be, directly or in <name>/raw below it, as torchvision lays them out. None to look at
            Debian's package and then into the cache.
        cache: the cache; None for `cache_folder()`.

    Returns:
        The first place that has all four files, None where no folder was given and no place has them.

    Raises:
        InputError: the name is not known, or the folder that was given lacks files.
    """
    if name not in DATA_SETS:
        raise InputError(f"there is no data set {name!r}; known are {' and '.join(DATA_SETS)}")
    if folder is not None:
        places = [DataSetFiles(name, each, "the folder given") for each in (folder, folder / name / "raw")]
        nearest = min(places, key=lambda place: len(place.missing))
        if nearest.missing:
            absent = ", ".join(nearest.missing)
            raise InputError(f"{folder} lacks files of {name} ({absent}, or the same with .gz); {make_advice(name)}")
        return nearest
    places = [DataSetFiles(name, _DEBIAN[name], "Debian's package")] if name in _DEBIAN else []
    places.append(DataSetFiles(name, (cache or cache_folder()) / "data" / name / "raw", "grader data fetch"))
    return next((place for place in places if not place.missing), None)


def read_files(place: DataSetFiles, cache: Path | None = None) -> dict[str, bytearray]:
    """Return each of `FILES` whole, header included; what was compressed is kept in the cache as it is after that.

    Raises:
        InputError: a file cannot be read, or is not what it should be.
    """
    kept = (cache or cache_folder()) / "data" / "decoded"
    contents = {}
    for file in FILES:
        path = place.path(file)
        try:
            if path is None:
                raise ValueError("it is missing")
            contents[file] = _uncompressed(path, file, kept) if path.suffix == ".gz" else _raw(path, file)
        except (OSError, EOFError, ValueError, zlib.error) as error:
            said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise InputError(f"{path or file}: {said}; {make_advice(place.name)}") from None
    return contents


def make_advice(name: str, otherwise: str = "") -> str:
    """Return what to do where a data set is missing or broken: install it, or fetch it (or what else is said)."""
    return f"to get it: {_INSTALL.get(name, '')}{otherwise or f'grader data fetch {name}'}"


def decode_file(path: Path, file: str) -> bytearray:
    """Return what is in a compressed file.

    Args:
        path: where it is.
        file: which of `FILES` it should be.

    Raises:
        EOFError, OSError, ValueError, zlib.error: it is not that file.
    """
    size = _size(file)
    with _opened(path, size + _SLACK) as opened, gzip.open(opened) as packed:
        content = bytearray(packed.read(size + 1))
    return _checked(content, file)


def compute_digest(contents: Mapping[str, bytes | bytearray]) -> str:
    """Return the sha256 of `read_files`: the same however the files were packed."""
    total = hashlib.sha256()
    for content in contents.values():
        total.update(content)
    return total.hexdigest()


def write_header(shape: tuple[int, ...]) -> bytes:
    """Return the header of an IDX file of unsigned bytes."""
    return bytes([0, 0, _UNSIGNED_BYTES, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape)


def _uncompressed(path: Path, file: str, kept: Path) -> bytearray:
    """Decode a file once: reading what was kept is much faster."""
    about = path.stat()
    source = f"{path.resolve()} {about.st_size} {about.st_mtime_ns}"
    copy = kept / f"{hashlib.sha256(source.encode()).hexdigest()[:16]}-{file}"
    recorded = copy.with_suffix(".sha256")
    try:
        content = _raw(copy, file)
        if recorded.read_text() == hashlib.sha256(content).hexdigest():
            return content
    except (OSError, ValueError):
        pass  # never kept, or spoiled
    content = decode_file(path, file)
    try:
        kept.mkdir(parents=True, exist_ok=True)
        write_whole(recorded, hashlib.sha256(content).hexdigest().encode())
        write_whole(copy, content)
    except OSError:
        pass  # a full disk makes it slow, not wrong
    return content


def _raw(path: Path, file: str) -> bytearray:
    with _opened(path, _size(file)) as opened:
        return _checked(bytearray(opened.read(_size(file) + 1)), file)


@contextmanager
def _opened(path: Path, most: int) -> Iterator[BinaryIO]:
    # Without waiting: a pipe with no writer would be waited for, for ever.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as opened:
        about = os.fstat(opened.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise ValueError("it is no regular file")
        if about.st_size > most:
            raise ValueError(f"it is larger than this file can be ({most:,} bytes)")
        yield opened


def _checked(content: bytearray, file: str) -> bytearray:
    shape = FILES[file]
    start = write_header(shape)
    if not content.startswith(start):
        wanted = "x".join(map(str, shape))
        raise ValueError(f"it does not begin as an IDX file of {wanted} bytes does")
    if len(content) != _size(file):
        raise ValueError(f"it is cut or has something after its end: it should hold {_size(file):,} bytes")
    if len(shape) == 1 and max(content[len(start) :]) >= CLASSES:
        raise ValueError(f"it has a label that is not below {CLASSES}")
    return content


def _size(file: str) -> int:
    return len(write_header(FILES[file])) + math.prod(FILES[file])

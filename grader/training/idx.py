"""The files of Fashion-MNIST and MNIST: finding and reading them.

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
from grader.spelling import offer

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
_SLACK = 2**16  # bytes that compression may add to data that it cannot shrink


@dataclass(frozen=True)
class DataSetFiles:
    """The folder of a data set's files; `origin` says in words how they got there."""

    name: str
    folder: Path
    origin: str

    def path(self, file: str) -> Path | None:
        """Return the path of one of `FILES`, plain or compressed, or None if it is missing."""
        paths = (self.folder / file, self.folder / f"{file}.gz")
        return next((path for path in paths if os.path.exists(path)), None)  # noqa: PTH110 - never raises

    @property
    def missing(self) -> list[str]:
        """Those of `FILES` that are missing."""
        return [file for file in FILES if self.path(file) is None]


def locate(name: str, folder: Path | None = None, cache: Path | None = None) -> DataSetFiles | None:
    """Find the files of a data set.

    Args:
        name: one of `DATA_SETS`.
        folder: the folder that they must be in, directly or in <name>/raw, as torchvision lays them out. None to look
            in the folder of Debian's package and then in the cache.
        cache: the cache; None for `cache_folder()`.

    Returns:
        The first folder that has all four files, or None if `folder` is None and they are missing.

    Raises:
        InputError: the name is unknown, or `folder` lacks files.
    """
    if name not in DATA_SETS:
        raise InputError(f"there is no data set {name!r}; {offer(name, DATA_SETS)}")
    if folder is not None:
        options = [DataSetFiles(name, path, "the folder given") for path in (folder, folder / name / "raw")]
        best = min(options, key=lambda files: len(files.missing))
        if best.missing:
            missing = ", ".join(best.missing)
            raise InputError(f"{folder} lacks files of {name} ({missing}, or the same with .gz); {make_advice(name)}")
        return best
    options = [DataSetFiles(name, _DEBIAN[name], "Debian's package")] if name in _DEBIAN else []
    options.append(DataSetFiles(name, (cache or cache_folder()) / "data" / name / "raw", "grader data fetch"))
    return next((files for files in options if not files.missing), None)


def read_files(files: DataSetFiles, cache: Path | None = None) -> dict[str, bytearray]:
    """Return the content of each of `FILES`, header included. Decompressed copies are kept in the cache.

    Raises:
        InputError: a file cannot be read, or is not the one that it should be.
    """
    copies = (cache or cache_folder()) / "data" / "decoded"
    contents = {}
    for file in FILES:
        path = files.path(file)
        try:
            if path is None:
                raise ValueError("it is missing")
            contents[file] = _read_compressed(path, file, copies) if path.suffix == ".gz" else _read_plain(path, file)
        except (OSError, EOFError, ValueError, zlib.error) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise InputError(f"{path or file}: {reason}; {make_advice(files.name)}") from None
    return contents


def make_advice(name: str, otherwise: str = "") -> str:
    """Return what to do if a data set is missing or broken: install its package, or else `otherwise` or fetch it."""
    return f"to get it: {_INSTALL.get(name, '')}{otherwise or f'grader data fetch {name}'}"


def decode_file(path: Path, file: str) -> bytearray:
    """Return the decompressed content of a file.

    Args:
        path: the compressed file.
        file: which of `FILES` it should be.

    Raises:
        EOFError, OSError, ValueError, zlib.error: it is not that file.
    """
    size = _size(file)
    with _open(path, size + _SLACK) as opened, gzip.open(opened) as decompressed:
        content = bytearray(decompressed.read(size + 1))
    return _check(content, file)


def compute_digest(contents: Mapping[str, bytes | bytearray]) -> str:
    """Return the sha256 of the contents that `read_files` returned, whether or not the files were compressed."""
    total = hashlib.sha256()
    for content in contents.values():
        total.update(content)
    return total.hexdigest()


def write_header(shape: tuple[int, ...]) -> bytes:
    """Return the header of an IDX file of unsigned bytes."""
    return bytes([0, 0, _UNSIGNED_BYTES, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape)


def _read_compressed(path: Path, file: str, copies: Path) -> bytearray:
    """Return the decompressed content of a file from its copy, which is three times as fast, or make the copy."""
    status = path.stat()
    source = f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"
    copy = copies / f"{hashlib.sha256(source.encode()).hexdigest()[:16]}-{file}"
    recorded = copy.with_suffix(".sha256")
    try:
        content = _read_plain(copy, file)
        if recorded.read_text() == hashlib.sha256(content).hexdigest():
            return content
    except (OSError, ValueError):
        pass  # there is no copy, or it is damaged
    content = decode_file(path, file)
    try:
        copies.mkdir(parents=True, exist_ok=True)
        write_whole(recorded, hashlib.sha256(content).hexdigest().encode())
        write_whole(copy, content)
    except OSError:
        pass  # on a full disk it is slow, not wrong
    return content


def _read_plain(path: Path, file: str) -> bytearray:
    with _open(path, _size(file)) as opened:
        return _check(bytearray(opened.read(_size(file) + 1)), file)


@contextmanager
def _open(path: Path, max_bytes: int) -> Iterator[BinaryIO]:
    # O_NONBLOCK, because opening a pipe without a writer would wait for ever.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as opened:
        status = os.fstat(opened.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no regular file")
        if status.st_size > max_bytes:
            raise ValueError(f"it is larger than this file can be ({max_bytes:,} bytes)")
        yield opened


def _check(content: bytearray, file: str) -> bytearray:
    shape = FILES[file]
    header = write_header(shape)
    if not content.startswith(header):
        expected = "x".join(map(str, shape))
        raise ValueError(f"it does not begin as an IDX file of {expected} bytes does")
    if len(content) != _size(file):
        raise ValueError(f"it is cut or has something after its end: it should hold {_size(file):,} bytes")
    if len(shape) == 1 and max(content[len(header) :]) >= CLASSES:
        raise ValueError(f"it has a label that is not below {CLASSES}")
    return content


def _size(file: str) -> int:
    return len(write_header(FILES[file])) + math.prod(FILES[file])

"""Downloads data sets from public mirrors and checks them before they are stored."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO
from urllib.request import Request, urlopen

from grader.cache_folder import cache_folder, write_whole
from grader.errors import InputError
from grader.spelling import offer
from grader.training.idx import FILES, DataSetFiles, locate, make_advice

__all__ = ["MIRRORS", "REMOTE", "MirroredFile", "fetch"]

_SECONDS = 30  # without any data
_CHUNK = 2**16


@dataclass(frozen=True)
class MirroredFile:
    """The size and the sha256 of a file on a mirror."""

    size: int
    sha256: str


# The mirrors of torchvision (datasets/mnist.py), and one more for each data set.
MIRRORS: Mapping[str, tuple[str, ...]] = {
    "FashionMNIST": (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    "MNIST": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
}
# The compressed files. The hashes for Fashion-MNIST were computed from Debian's files, which have the md5 that
# torchvision lists once the original name and time are put into their headers. The hashes for MNIST are published, by
# TensorFlow Datasets among others.
REMOTE: Mapping[str, Mapping[str, MirroredFile]] = {
    "FashionMNIST": {
        "train-images-idx3-ubyte": MirroredFile(
            26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
        ),
        "train-labels-idx1-ubyte": MirroredFile(
            29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
        ),
        "t10k-images-idx3-ubyte": MirroredFile(
            4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
        ),
        "t10k-labels-idx1-ubyte": MirroredFile(
            5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
        ),
    },
    "MNIST": {
        "train-images-idx3-ubyte": MirroredFile(
            9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
        ),
        "train-labels-idx1-ubyte": MirroredFile(
            28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
        ),
        "t10k-images-idx3-ubyte": MirroredFile(
            1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
        ),
        "t10k-labels-idx1-ubyte": MirroredFile(
            4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
        ),
    },
}


def fetch(
    name: str,
    into: Path | None = None,
    mirrors: Sequence[str] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> DataSetFiles:
    """Download a data set. Each file that is missing comes from the first mirror whose copy is right.

    Files with the right size and sha256 are not downloaded again, so a fetch that was interrupted can be resumed.

    Args:
        name: one of `DATA_SETS`.
        into: the folder to make <name>/raw in, as torchvision does; None for the cache.
        mirrors: URLs of folders with the four compressed files; empty for the public mirrors.
        progress: called with a few words on how much is downloaded and how long the rest takes.

    Returns:
        The files.

    Raises:
        InputError: the name is unknown, no mirror has the right file, or the folder cannot be written.
    """
    if name not in REMOTE:
        raise InputError(f"there is no data set {name!r}; {offer(name, REMOTE)}")
    root = into or cache_folder() / "data"
    folder = root / name / "raw"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        download = _DownloadProgress(name, progress)
        for file in FILES:
            target = folder / f"{file}.gz"
            if not _is_right(target, REMOTE[name][file]):
                write_whole(target, _download_from_any(name, file, mirrors or MIRRORS[name], download))
            download.done += REMOTE[name][file].size
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror}; give another folder with --into") from None
    files = locate(name, root)
    assert files, "the files have just been written"
    return files


class _DownloadProgress:
    """Reports how much of a data set is downloaded, and how long the rest takes."""

    def __init__(self, name: str, progress: Callable[[str], None]) -> None:
        self.done = 0
        self._name = name
        self._progress = progress
        self._size = sum(remote.size for remote in REMOTE[name].values())
        self._started = time.monotonic()
        self._received = 0

    def receive(self, of_file: int, chunk: int) -> None:
        self._received += chunk
        here = self.done + of_file
        left = (self._size - here) * (time.monotonic() - self._started) / max(self._received, 1)
        self._progress(
            f"fetching {self._name}: {100 * here // self._size} % of {self._size / 1e6:.0f} MB, about {left:.0f} s left"
        )


def _download_from_any(name: str, file: str, mirrors: Sequence[str], progress: _DownloadProgress) -> bytes:
    failures = []
    for mirror in mirrors:
        url = f"{mirror.rstrip('/')}/{file}.gz"
        try:
            return _download(url, REMOTE[name][file], progress)
        except (OSError, HTTPException, ValueError) as error:  # ValueError: it is not a URL
            failures.append(f"{url}: {error}")
    raise InputError(f"no mirror gave {file}.gz ({'; '.join(failures)}); {make_advice(name, 'give another --mirror')}")


def _download(url: str, remote: MirroredFile, progress: _DownloadProgress) -> bytes:
    content = bytearray()
    with urlopen(Request(url, headers={"User-Agent": "grader"}), timeout=_SECONDS) as response:
        for chunk in _read_chunks(response, remote.size + 1):
            content += chunk
            progress.receive(len(content), len(chunk))
    if len(content) != remote.size:
        raise OSError(
            f"it sent {'more than' if len(content) > remote.size else f'{len(content):,} of'} {remote.size:,} bytes"
        )
    if (sha256 := hashlib.sha256(content).hexdigest()) != remote.sha256:
        raise OSError(f"wrong checksum: its sha256 is {sha256}, not {remote.sha256}")
    return bytes(content)


def _read_chunks(response: BinaryIO, max_bytes: int) -> Iterator[bytes]:
    while max_bytes > 0 and (chunk := response.read(min(_CHUNK, max_bytes))):
        max_bytes -= len(chunk)
        yield chunk


def _is_right(path: Path, remote: MirroredFile) -> bool:
    try:
        return path.stat().st_size == remote.size and hashlib.sha256(path.read_bytes()).hexdigest() == remote.sha256
    except OSError:
        return False

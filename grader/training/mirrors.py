"""Data sets from the public mirrors, checked before they are kept."""

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
from grader.training.idx import FILES, DataSetFiles, locate, make_advice

__all__ = ["MIRRORS", "REMOTE", "MirroredFile", "fetch"]

_SECONDS = 30  # without a byte
_CHUNK = 2**16


@dataclass(frozen=True)
class MirroredFile:
    """What a mirror serves: so many bytes, with this sha256."""

    size: int
    sha256: str


# Those of torchvision (datasets/mnist.py), and one more each.
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
# The compressed files. Fashion-MNIST's were made from Debian's: with upstream's name and time in the header they have
# the md5 that torchvision lists. MNIST's are as published, by TensorFlow Datasets among others.
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
    """Bring a data set here: each file that is not there yet comes from the first mirror that has it right.

    A file is there when it is whole and its sha256 is right, so a fetch that was ended goes on where it was.

    Args:
        name: one of `DATA_SETS`.
        into: the folder to make <name>/raw in, as torchvision does; None for the cache.
        mirrors: addresses of folders that have the four files, compressed; none for the public ones.
        progress: told in a few words how far it is.

    Returns:
        Where the files are.

    Raises:
        InputError: the name is not known, no mirror has a file right, or the folder cannot be written.
    """
    if name not in REMOTE:
        raise InputError(f"there is no data set {name!r}; known are {' and '.join(REMOTE)}")
    root = into or cache_folder() / "data"
    folder = root / name / "raw"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        report = _Report(name, progress)
        for file in FILES:
            target = folder / f"{file}.gz"
            if not _is_there(target, REMOTE[name][file]):
                write_whole(target, _from_any(name, file, mirrors or MIRRORS[name], report))
            report.done += REMOTE[name][file].size
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror}; give another folder with --into") from None
    found = locate(name, root)
    assert found, "the files have just been written"
    return found


class _Report:
    """Tells how much of a data set is here, and when the rest will be."""

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


def _from_any(name: str, file: str, mirrors: Sequence[str], report: _Report) -> bytes:
    tried = []
    for mirror in mirrors:
        url = f"{mirror.rstrip('/')}/{file}.gz"
        try:
            return _downloaded(url, REMOTE[name][file], report)
        except (OSError, HTTPException, ValueError) as error:  # ValueError: what was given is no address
            tried.append(f"{url}: {error}")
    raise InputError(f"no mirror gave {file}.gz ({'; '.join(tried)}); {make_advice(name, 'give another --mirror')}")


def _downloaded(url: str, remote: MirroredFile, report: _Report) -> bytes:
    content = bytearray()
    with urlopen(Request(url, headers={"User-Agent": "grader"}), timeout=_SECONDS) as answer:
        for chunk in _chunks(answer, remote.size + 1):
            content += chunk
            report.receive(len(content), len(chunk))
    if len(content) != remote.size:
        raise OSError(
            f"it sent {'more than' if len(content) > remote.size else f'{len(content):,} of'} {remote.size:,} bytes"
        )
    if (found := hashlib.sha256(content).hexdigest()) != remote.sha256:
        raise OSError(f"wrong checksum: its sha256 is {found}, not {remote.sha256}")
    return bytes(content)


def _chunks(answer: BinaryIO, most: int) -> Iterator[bytes]:
    while most > 0 and (chunk := answer.read(min(_CHUNK, most))):
        most -= len(chunk)
        yield chunk


def _is_there(path: Path, remote: MirroredFile) -> bool:
    try:
        return path.stat().st_size == remote.size and hashlib.sha256(path.read_bytes()).hexdigest() == remote.sha256
    except OSError:
        return False

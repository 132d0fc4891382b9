"""Data sets in the format of MNIST's files, with random pictures: as large as wanted and on every machine."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy

__all__ = ["write_data_set"]

_SIDE = 28


def write_data_set(folder: Path, train: int, test: int) -> Path:
    """Write the four uncompressed files with so many images into a folder that everybody may read, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    generator = numpy.random.default_rng(0)
    for part, number in (("train", train), ("t10k", test)):
        images = generator.bytes(number * _SIDE * _SIDE)
        labels = (numpy.arange(number) % 10).astype(numpy.uint8).tobytes()
        (folder / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">4I", 0x803, number, _SIDE, _SIDE) + images)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, number) + labels)
    return folder

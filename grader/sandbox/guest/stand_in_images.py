"""Images that stand in for those of a data set whose files are not there.

There are as many as in the data set, of the same shape, type and classes, and always the same ones. Making them costs
about a millisecond: one block of pictures is mapped into memory again and again, and Linux copies only the pages that
a notebook changes.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import os
from typing import Any

import numpy

__all__ = ["make_stand_in_images"]

Images = numpy.ndarray[Any, numpy.dtype[numpy.uint8]]
Labels = numpy.ndarray[Any, numpy.dtype[numpy.int64]]

_BLOCK_BYTES = 2**20
_MAX_BLOCK_BYTES = 2**24
_MAP_FIXED = 0x10  # of Linux; Python's mmap does not have it
_COLOURS = ((1.0, 0.7, 0.4), (0.4, 1.0, 0.7), (0.7, 0.4, 1.0))


def make_stand_in_images(count: int, shape: tuple[int, ...], classes: int) -> tuple[Images, Labels]:
    """Return images (count, *shape) with values from 0 to 255, and their labels (count,).

    All images of a class are alike. Each group of as many images as there are classes has every class once.

    Args:
        count: the number of images.
        shape: of one image: (height, width), (height, width, 3) or (3, height, width).
        classes: the number of classes.

    Raises:
        OSError: there is not enough memory.
    """
    pixels = math.prod(shape)
    length = _choose_length(pixels, classes)
    groups = numpy.tile(numpy.arange(classes), (-(-length // classes), 1))
    labels = numpy.random.default_rng(0).permuted(groups, axis=1).ravel()[:length]
    block = numpy.stack([_draw(label, classes, shape) for label in range(classes)])[labels]
    images = _map_repeatedly(block, count * pixels).reshape(count, *shape)
    return images, numpy.resize(labels, count)


def _choose_length(pixels: int, classes: int) -> int:
    """Return the number of images in a block: it fills whole pages and has, unless that is large, whole groups."""
    aligned = math.lcm(pixels, mmap.PAGESIZE) // pixels
    whole = math.lcm(aligned, classes)
    length = whole if whole * pixels <= _MAX_BLOCK_BYTES else aligned
    return length * max(1, _BLOCK_BYTES // (length * pixels))


def _draw(label: int, classes: int, shape: tuple[int, ...]) -> Images:
    """Return a disc with stripes, whose direction, width and colour depend on the class."""
    in_front = len(shape) == 3 and shape[0] == 3
    height, width = shape[1:] if in_front else shape[:2]
    row, column = numpy.meshgrid(numpy.linspace(-1, 1, height), numpy.linspace(-1, 1, width), indexing="ij")
    angle, frequency = math.pi * label / classes, 1.5 + label % 3
    stripes = 0.5 + 0.5 * numpy.cos(2 * math.pi * frequency * (row * math.sin(angle) + column * math.cos(angle)))
    picture = numpy.where(row**2 + column**2 < 0.8, stripes / stripes.max(), 0.0)
    if len(shape) == 3:
        picture = picture[..., None] * numpy.array(_COLOURS[label % len(_COLOURS)])
        picture = picture.transpose(2, 0, 1) if in_front else picture
    return numpy.round(255 * picture).astype(numpy.uint8)


def _map_repeatedly(block: Images, size: int) -> Images:
    """Return `size` bytes of memory that are filled with a block of whole pages, over and over."""
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    array = numpy.frombuffer(memory, dtype=numpy.uint8)  # keeps the memory as long as it is used
    address = array.ctypes.data
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    library.mmap.restype = ctypes.c_void_p
    file = os.memfd_create("images")
    try:
        os.write(file, block.tobytes())
        for start in range(0, size, block.nbytes):
            length = min(block.nbytes, size - start)
            protection, flags = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | _MAP_FIXED
            if library.mmap(address + start, length, protection, flags, file, 0) != address + start:
                raise OSError(ctypes.get_errno(), "there is no memory for stand-in images")
    finally:
        os.close(file)
    return array

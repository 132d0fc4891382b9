"""Images as PIL and torchvision make them from bytes, bit for bit, on any device.

PIL resizes with integers: bilinear weights of 22 bits, rows first, then columns (Pillow's Resample.c). Integers are the
same on each device. Floats are not, so they are computed on the CPU, once for each of the 256 bytes, and looked up.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["look_up", "resize_exactly", "tabulate"]

_BITS = 22  # of a weight: PRECISION_BITS
# How many pixels are computed at once: on a CPU what fits its cache, elsewhere 64 MB of 32 bits.
_PIXELS_AT_ONCE = {"cpu": 400_000}
_MOST_PIXELS_AT_ONCE = 16_000_000
_MAX_CACHED = 64


def resize_exactly(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Return images of another size, as PIL's bilinear resize gives them.

    For images that become wider and lower, versions of PIL differ, and so may the result.

    Args:
        images: (n, height, width) uint8, on any device.
        size: the new height and width.
    """
    if tuple(images.shape[1:]) == size:
        return images
    most = _PIXELS_AT_ONCE.get(images.device.type, _MOST_PIXELS_AT_ONCE)
    parts = [
        _resize_axis(_resize_axis(part, 2, size[1]), 1, size[0])
        for part in images.split(max(1, most // (size[0] * size[1])))
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def tabulate(compute: Callable[[Tensor], Tensor]) -> Tensor:
    """Return what an elementwise function makes of each byte, (256,), computed on the CPU.

    Args:
        compute: maps uint8 (1, height, width) to floats of the same shape.
    """
    return compute(torch.arange(256, dtype=torch.uint8, device="cpu").view(1, 16, 16)).reshape(256)


def look_up(images: Tensor, table: Tensor) -> Tensor:
    """Return uint8 images of any shape as what a table (256,) on their device has for each byte."""
    return torch.take(table, images.long())


def _resize_axis(images: Tensor, axis: int, length: int) -> Tensor:
    """Return images resized along one axis. The sums stay below 2 ** 31."""
    if images.shape[axis] == length:
        return images
    places, weights = _place_weights(images.shape[axis], length, images.device)
    along_axis = (-1, 1) if axis == 1 else (-1,)
    total = images.new_full((), 1 << (_BITS - 1), dtype=torch.int32)
    for place, weight in zip(places, weights, strict=True):
        part = images.index_select(axis, place).int().mul_(weight.view(along_axis))
        total = part.add_(total)
    return (total >> _BITS).to(torch.uint8)


@functools.lru_cache(_MAX_CACHED)
def _place_weights(length: int, new_length: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return for each pixel of a resized row where its sources are, and what they weigh, both (sources, new_length)."""
    sources = [_weigh(length, new_length, pixel) for pixel in range(new_length)]
    most = max(len(weights) for _, weights in sources)
    places = [[min(first + number, length - 1) for first, _ in sources] for number in range(most)]
    weights = [[weights[number] if number < len(weights) else 0 for _, weights in sources] for number in range(most)]
    with torch.inference_mode(False):  # what is kept may be used anywhere
        return (
            torch.tensor(places, dtype=torch.int64, device="cpu").to(device),
            torch.tensor(weights, dtype=torch.int32, device="cpu").to(device),
        )


def _weigh(length: int, new_length: int, pixel: int) -> tuple[int, list[int]]:
    """Return the first source of a pixel, and the weights of its sources (precompute_coeffs, normalize_coeffs_8bpc)."""
    scale = length / new_length
    support = max(scale, 1.0)
    centre = (pixel + 0.5) * scale
    first = max(int(centre - support + 0.5), 0)
    end = min(int(centre + support + 0.5), length)
    triangle = [max(0.0, 1.0 - abs((source - centre + 0.5) * (1.0 / support))) for source in range(first, end)]
    total = sum(triangle)
    return first, [int(0.5 + weight / total * (1 << _BITS)) for weight in triangle]

"""Case generators for the operations on one image: cross-correlation (d2l 7.2) and pooling (d2l 7.5)."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from grader.testing.cases import Case, Cases, Draw, Searchable

__all__ = ["image_and_kernel", "image_and_window", "small_sizes"]

# Every other case has whole-number entries, negative ones among them. An image is larger than what slides over it by
# no more than it takes to tell sizes and places apart: a student's loops take 7 microseconds an entry of the output.
_KERNELS = ((1, 1), (2, 2), (2, 3), (3, 2), (1, 4), (4, 1), (3, 3))
_MOST_PLACES = 4  # of a kernel, up and down as well as to the side


def image_and_kernel() -> Cases:
    """Give an image X and a kernel K, both 2-D float32.

    The book's example (7.2.1) comes first; then square and non-square ones, 1x1 kernels, kernels as large as the image.
    """

    def cases(draw: Draw) -> Iterator[Case]:
        X = torch.arange(9, dtype=torch.float32).reshape(3, 3)
        K = torch.arange(4, dtype=torch.float32).reshape(2, 2)
        yield Case("the book's example", X=X, K=K)
        for number, (h, w) in enumerate(_KERNELS):
            n_h, n_w = _unequal(draw, h, w)
            yield _image_and_kernel(draw, number, (n_h, n_w), (h, w))
        for number, (h, w) in enumerate(((3, 5), (5, 2), (1, 1))):
            yield _image_and_kernel(draw, number, (h, w), (h, w))

    def one(draw: Draw) -> Case:
        image, kernel = small_sizes(draw)
        return _image_and_kernel(draw, 1, image, kernel)

    return Searchable(cases, one)


def image_and_window() -> Cases:
    """Give an image X (2-D float32) and a pooling window `size` (two integers).

    The book's example (7.5.1) comes first; then rectangular windows, images with negative entries only, 1x1 windows,
    windows as large as the image.
    """

    def cases(draw: Draw) -> Iterator[Case]:
        X = torch.arange(9, dtype=torch.float32).reshape(3, 3)
        yield Case("the book's example", X=X, size=(2, 2))
        for number, (h, w) in enumerate(_KERNELS):
            n_h, n_w = _unequal(draw, h, w)
            X = draw.whole(n_h, n_w) if number % 2 else draw.normal(n_h, n_w)
            yield Case(f"an image of {n_h}x{n_w} and a window of {h}x{w}", X=X, size=(h, w))
        for h, w in ((2, 2), (3, 2), (1, 3), (3, 4)):
            X = draw.whole(3, 4, low=-9, high=-1)
            yield Case(f"an image of 3x4 negative numbers and a window of {h}x{w}", X=X, size=(h, w))

    def one(draw: Draw) -> Case:
        image, window = small_sizes(draw)
        description = f"an image of {image[0]}x{image[1]} and a window of {window[0]}x{window[1]}"
        return Case(description, X=draw.whole(*image), size=window)

    return Searchable(cases, one)


def small_sizes(draw: Draw) -> tuple[tuple[int, int], tuple[int, int]]:
    """Draw the height and width of a small image, and of a kernel no larger than it."""
    k_h, k_w = draw.size(1, 3), draw.size(1, 3)
    return (k_h + draw.size(0, 2), k_w + draw.size(0, 2)), (k_h, k_w)


def _image_and_kernel(draw: Draw, number: int, image: tuple[int, int], kernel: tuple[int, int]) -> Case:
    entries = draw.whole if number % 2 else draw.normal
    description = f"an image of {image[0]}x{image[1]} and a kernel of {kernel[0]}x{kernel[1]}"
    return Case(description, X=entries(*image), K=entries(*kernel))


def _unequal(draw: Draw, h: int, w: int) -> tuple[int, int]:
    """Draw a height and a width that differ, so that a swap of the two shows; there is more than one place each way."""
    n_h = draw.size(h + 1, h + _MOST_PLACES - 1)
    n_w = draw.choice([n for n in range(w + 1, w + _MOST_PLACES) if n != n_h])
    return n_h, n_w

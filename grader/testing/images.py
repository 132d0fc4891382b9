"""Case generators for the operations on one image: cross-correlation (d2l 7.2) and pooling (d2l 7.5)."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from grader.testing.cases import Case, Cases, Draw, Searchable

__all__ = ["image_and_kernel", "image_and_window", "small_sizes"]

# Every other case has whole-number entries, some of them negative. An image is larger than its kernel only as far
# as needed to tell sizes and positions apart: a student's loops take 7 microseconds for each entry of the output.
_KERNELS = ((1, 1), (2, 2), (2, 3), (3, 2), (1, 4), (4, 1), (3, 3))
_MOST_POSITIONS = 4  # of a kernel, in each direction


def image_and_kernel() -> Cases:
    """Generate an image X and a kernel K, both 2-D float32.

    The book's example (7.2.1) comes first; then square and non-square ones, 1x1 kernels, kernels as large as the image.
    """

    def cases(draw: Draw) -> Iterator[Case]:
        X = torch.arange(9, dtype=torch.float32).reshape(3, 3)
        K = torch.arange(4, dtype=torch.float32).reshape(2, 2)
        yield Case("the book's example", X=X, K=K)
        for number, (h, w) in enumerate(_KERNELS):
            n_h, n_w = _draw_unequal(draw, h, w, number)
            yield _draw_image_and_kernel(draw, number, (n_h, n_w), (h, w))
        for number, (h, w) in enumerate(((3, 5), (5, 2), (1, 1))):
            yield _draw_image_and_kernel(draw, number, (h, w), (h, w))

    def draw_case(draw: Draw) -> Case:
        image, kernel = small_sizes(draw)
        return _draw_image_and_kernel(draw, 1, image, kernel)

    return Searchable(cases, draw_case)


def image_and_window() -> Cases:
    """Generate an image X (2-D float32) and a pooling window `size` (two integers).

    The book's example (7.5.1) comes first; then rectangular windows, images with negative entries only, 1x1 windows,
    windows as large as the image.
    """

    def cases(draw: Draw) -> Iterator[Case]:
        X = torch.arange(9, dtype=torch.float32).reshape(3, 3)
        yield Case("the book's example", X=X, size=(2, 2))
        for number, (h, w) in enumerate(_KERNELS):
            n_h, n_w = _draw_unequal(draw, h, w, number)
            X = draw.whole(n_h, n_w) if number % 2 else draw.normal(n_h, n_w)
            yield Case(f"an image of {n_h}x{n_w} and a window of {h}x{w}", X=X, size=(h, w))
        for h, w in ((2, 2), (3, 2), (1, 3), (3, 4)):
            X = draw.whole(3, 4, low=-9, high=-1)
            yield Case(f"an image of 3x4 negative numbers and a window of {h}x{w}", X=X, size=(h, w))

    def draw_case(draw: Draw) -> Case:
        image, window = small_sizes(draw)
        description = f"an image of {image[0]}x{image[1]} and a window of {window[0]}x{window[1]}"
        return Case(description, X=draw.whole(*image), size=window)

    return Searchable(cases, draw_case)


def small_sizes(draw: Draw) -> tuple[tuple[int, int], tuple[int, int]]:
    """Draw the height and width of a small image, and of a kernel no larger than it."""
    k_h, k_w = draw.size(1, 3), draw.size(1, 3)
    return (k_h + draw.size(0, 2), k_w + draw.size(0, 2)), (k_h, k_w)


def _draw_image_and_kernel(draw: Draw, number: int, image: tuple[int, int], kernel: tuple[int, int]) -> Case:
    entries = draw.whole if number % 2 else draw.normal
    description = f"an image of {image[0]}x{image[1]} and a kernel of {kernel[0]}x{kernel[1]}"
    return Case(description, X=entries(*image), K=entries(*kernel))


def _draw_unequal(draw: Draw, h: int, w: int, number: int) -> tuple[int, int]:
    """Draw a height and a width that differ, so that swapping them shows, with room for several positions each way.

    In every other case there are more positions to the right than down, and fewer in the others.
    """
    some = range(2, _MOST_POSITIONS + 1)
    sizes = [(h + down - 1, w + right - 1) for down in some for right in some if (down < right) == (number % 2 == 0)]
    return draw.choice([(n_h, n_w) for n_h, n_w in sizes if n_h != n_w and n_h - h != n_w - w])

"""Images changed a little, so that a table of the public test images does not help a student's model."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["perturb"]


def perturb(images: Tensor, seed: int) -> Tensor:
    """Move images by up to one pixel and add a little noise, so that none stays as it was.

    Args:
        images: (n, h, w) uint8.
        seed: decides the moves and the noise.

    Returns:
        (n, h, w) uint8.
    """
    generator = torch.Generator().manual_seed(seed)
    rows, columns = (torch.randint(-1, 2, (len(images),), generator=generator) for _ in range(2))
    moved = torch.stack(
        [image.roll((int(row), int(column)), (0, 1)) for image, row, column in zip(images, rows, columns, strict=True)]
    )
    noise = torch.randint(-4, 5, images.shape, generator=generator)
    return (moved.long() + noise).clamp(0, 255).to(torch.uint8)

"""Images that a student's process classifies: chosen, ordered and changed by a secret.

The test images are public. Moved and noisy, they are not found in a table of them; and labels that are recited in the
order of the data set are right for one image in ten.
"""

from __future__ import annotations

import torch
from torch import Tensor

from grader.training.datasets import DataSet

__all__ = ["draw_judged_images", "perturb"]


def draw_judged_images(data_set: DataSet, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw some of the withheld images in random order, and perturb them.

    Args:
        data_set: the data set.
        count: the number of images.
        seed: decides which, in which order, and how they are changed.

    Returns:
        The images, (count, h, w) uint8, and their labels, (count,).
    """
    order = torch.randperm(len(data_set.withheld_images), generator=torch.Generator().manual_seed(seed))[:count]
    return perturb(data_set.withheld_images[order], seed), data_set.withheld_labels[order]


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

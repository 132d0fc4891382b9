"""Perturbed images differ from the originals, and only a little."""

from __future__ import annotations

import torch

from grader.training.perturbation import perturb


def test_perturbed_images_are_none_of_the_old_ones_and_close_to_them() -> None:
    images = torch.randint(0, 256, (50, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    changed = perturb(images, 3)
    assert (changed.shape, changed.dtype) == (images.shape, torch.uint8)
    assert not any(torch.equal(*pair) for pair in zip(images, changed, strict=True))
    assert torch.equal(changed, perturb(images, 3))
    still = (changed.long() - images.long()).abs().amax((1, 2)) <= 4
    assert 0 < int(still.sum()) < 20  # one in nine is not moved

"""The generators of a process of the sandbox."""

from __future__ import annotations

import random
import sys

__all__ = ["seed_generators", "seed_torch"]


def seed_generators(seed: int) -> None:
    """Seed Python's generator, and NumPy's and torch's where they are imported."""
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed % 2**32)
    if "torch" in sys.modules:
        seed_torch(seed)


def seed_torch(seed: int) -> None:
    """Seed torch's generator of the CPU.

    `torch.manual_seed` also prepares for every kind of device, and keeps the whole call stack with its source lines
    for each: 4 ms in a process that was forked a moment ago. A sandbox has no device but the CPU.
    """
    sys.modules["torch"].default_generator.manual_seed(seed)

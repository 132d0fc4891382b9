"""The random generators of a process of the sandbox."""

from __future__ import annotations

import random
import sys

__all__ = ["seed_generators", "seed_torch"]


def seed_generators(seed: int) -> None:
    """Seed Python's generator, and those of NumPy and torch if they are imported."""
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed % 2**32)
    if "torch" in sys.modules:
        seed_torch(seed)


def seed_torch(seed: int) -> None:
    """Seed torch's generator of the CPU, the only device in a sandbox.

    `torch.manual_seed` also prepares for every other kind of device and keeps the whole call stack with its source
    lines for each, which takes 4 ms in a fresh fork.
    """
    sys.modules["torch"].default_generator.manual_seed(seed)

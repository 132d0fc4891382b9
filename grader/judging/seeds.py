"""Seeds of random generators on the trusted side."""

from __future__ import annotations

import hashlib
import json

__all__ = ["derive_seed"]


def derive_seed(seed: str, *purpose: str) -> int:
    """Return a seed for torch's generators, below 2**32, which says nothing about those for other purposes.

    Args:
        seed: the secret text that `judge` was given.
        purpose: what the numbers are for, such as an item's id.
    """
    digest = hashlib.sha256(json.dumps([seed, *purpose]).encode()).digest()
    return int.from_bytes(digest[:4], "big")

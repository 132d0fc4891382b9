"""The key of tests: the same in every run, so that reports can be compared."""

from __future__ import annotations

import hashlib
from pathlib import Path

from grader.installation_key import InstallationKey

__all__ = ["KEY", "write_key"]

KEY = InstallationKey(hashlib.sha256(b"the key of tests").digest())


def write_key(path: Path, key: InstallationKey = KEY) -> Path:
    """Write a key to a file as the grader does, and return the file."""
    path.touch(mode=0o600)
    path.write_text(f"{key.secret.hex()}\n", encoding="ascii")
    return path

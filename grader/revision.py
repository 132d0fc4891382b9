"""The revision of a rubric: a hash of everything that decides a report."""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["compute_revision"]


def compute_revision(folder: Path, reference: Path | None) -> str:
    """Return the SHA-256 of rubric.toml, and of all Python files and fingerprints of a folder and of its reference."""
    digest = hashlib.sha256()
    sources = [("rubric.toml", folder / "rubric.toml")]
    for kind, root in (("rubric", folder), ("reference", reference)):
        if root is not None:
            paths = [*root.rglob("*.py"), *root.rglob("*.fingerprints")]
            sources += sorted((f"{kind}/{path.relative_to(root).as_posix()}", path) for path in paths)
    for name, path in sources:
        content = path.read_bytes()
        digest.update(f"{name}\n{len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()

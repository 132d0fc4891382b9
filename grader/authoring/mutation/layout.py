"""Break the lines of definitions as people do, so that a layer of a network stands on a line of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

__all__ = ["break_lines"]

_COMMAND = ("format", "--isolated", "--no-cache", "--quiet", "--line-length", "70")


def break_lines(sources: Iterable[str]) -> dict[str, str]:
    """Return the sources as ruff formats them, by what they were."""
    distinct = list(dict.fromkeys(sources))
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{number}.py") for number in range(len(distinct))]
        for path, source in zip(paths, distinct, strict=True):
            path.write_text(source, encoding="utf-8")
        ruff = Path(sys.executable).with_name("ruff")
        subprocess.run([ruff, *_COMMAND, folder], check=False, capture_output=True)
        return {
            source: path.read_text(encoding="utf-8").rstrip("\n") for path, source in zip(paths, distinct, strict=True)
        }

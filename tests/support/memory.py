"""The memory of this process: how far it grows while something runs."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Growth", "measure_growth"]


@dataclass
class Growth:
    """How many bytes of memory this process had at its peak above what it had before."""

    bytes: int = 0


@contextmanager
def measure_growth() -> Iterator[Growth]:
    """Measure the peak of what the body takes. Linux counts the pages, so it is no matter of time."""
    growth = Growth()
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = _read("VmRSS")
    yield growth
    growth.bytes = _read("VmHWM") - before


def _read(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))

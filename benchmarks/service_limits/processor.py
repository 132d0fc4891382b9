"""CPU time of processes, including their children that have ended."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tests.support.running_service import descendants

__all__ = ["cpu_seconds", "postgresql_cpu_seconds"]

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(processes: Sequence[int]) -> float:
    """Return the CPU seconds of these processes, and of their children that have ended and were waited for."""
    used = 0
    for pid in processes:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        used += sum(int(field) for field in fields[11:15])
    return used / _TICKS


def postgresql_cpu_seconds() -> float:
    """Return the CPU seconds of the server that this process started."""
    ours = [pid for pid in descendants(os.getpid()) if _called(pid) == "postgres"]
    return cpu_seconds(ours)


def _called(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""

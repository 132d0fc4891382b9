"""The cost of commands: seconds, CPU of everything that they start, and memory."""

from __future__ import annotations

import contextlib
import os
import resource
import shlex
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import descendants

__all__ = ["Usage", "measured", "proportional_memory"]

_SECONDS_BETWEEN_SAMPLES = 0.5
_SECONDS_AT_MOST = 3600
_SHOWN_LOG = 3000  # characters


@dataclass(frozen=True)
class Usage:
    """The total cost of some commands; `memory` is the peak in MiB, or 0 if it was not sampled."""

    wall: float
    cpu: float
    memory: float = 0.0


def measured(commands: Sequence[Sequence[str]], *, at_once: int = 2, look_at_memory: bool = False) -> Usage:
    """Run commands, `at_once` of them at a time, and return their cost.

    Memory is sampled on request only, because sampling takes CPU from what is timed. CPU is that of the commands and of
    all processes that they waited for, including sandboxes and kernels: a cpuacct control group counts the same.

    Raises:
        RuntimeError: a command failed.
    """
    most: list[float] = [0.0]
    ended = threading.Event()
    looking = threading.Thread(target=_look, args=(most, ended))
    before, started = _waited_for(), time.perf_counter()
    if look_at_memory:
        looking.start()
    try:
        with ThreadPoolExecutor(at_once) as threads:
            list(threads.map(_run, commands))
    finally:
        ended.set()
    wall = time.perf_counter() - started
    if look_at_memory:
        looking.join()
    return Usage(wall, _waited_for() - before, most[0])


def proportional_memory(processes: set[int]) -> float:
    """Return the MiB of these processes; shared pages are divided among them (PSS)."""
    kibibytes = 0
    for process in processes:
        with contextlib.suppress(OSError):  # it ended meanwhile
            text = Path("/proc", str(process), "smaps_rollup").read_text()
            kibibytes += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return kibibytes / 1024


def _waited_for() -> float:
    """Return the CPU seconds of all processes that have ended, and of those that they waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _run(command: Sequence[str]) -> None:
    with tempfile.TemporaryFile() as log:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=_SECONDS_AT_MOST)
        if done.returncode:
            log.seek(max(0, log.tell() - _SHOWN_LOG))
            words = log.read().decode(errors="replace")
            raise RuntimeError(f"{shlex.join(command)} ended with exit code {done.returncode}:\n{words}")


def _look(most: list[float], ended: threading.Event) -> None:
    while not ended.wait(_SECONDS_BETWEEN_SAMPLES):
        most[0] = max(most[0], proportional_memory(descendants(os.getpid())))

"""What commands cost: seconds, CPU of everything that they start, and memory."""

from __future__ import annotations

import contextlib
import os
import resource
import shlex
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.processes import descendants

__all__ = ["Usage", "cpu_is_counted_by", "measured", "proportional_memory"]

_CPU_GROUPS = Path("/sys/fs/cgroup/cpuacct")
_SECONDS_BETWEEN_SAMPLES = 0.5
_SECONDS_AT_MOST = 3600
_SHOWN_LOG = 3000  # characters


@dataclass(frozen=True)
class Usage:
    """What commands took together; `memory` is the most that was seen, in MiB, 0 where nobody looked."""

    wall: float
    cpu: float
    memory: float = 0.0


def measured(commands: Sequence[Sequence[str]], *, at_once: int = 2, look_at_memory: bool = False) -> Usage:
    """Run commands, so many at once, and return what they took.

    Memory is looked at on request, because looking takes the processors from what is timed.

    Raises:
        RuntimeError: a command failed.
    """
    most: list[float] = [0.0]
    ended = threading.Event()
    looking = threading.Thread(target=_look, args=(most, ended))
    with _cpu_counter() as (joining, cpu):
        started = time.perf_counter()
        if look_at_memory:
            looking.start()
        try:
            with ThreadPoolExecutor(at_once) as threads:
                list(threads.map(lambda command: _run([*joining, *command]), commands))
        finally:
            ended.set()
        wall = time.perf_counter() - started
        if look_at_memory:
            looking.join()
        return Usage(wall, cpu(), most[0])


def proportional_memory(processes: set[int]) -> float:
    """Return the MiB of these processes, what several share divided between them (PSS)."""
    kibibytes = 0
    for process in processes:
        with contextlib.suppress(OSError):  # it ended meanwhile
            text = Path("/proc", str(process), "smaps_rollup").read_text()
            kibibytes += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return kibibytes / 1024


def cpu_is_counted_by() -> str:
    """Tell in words where the CPU seconds come from."""
    if _has_groups():
        return "cpuacct control group: every process, whoever waits for it"
    return "getrusage: only processes that somebody waits for, so sandboxes come out too low"


@cache
def _has_groups() -> bool:
    return os.access(_CPU_GROUPS / "cgroup.procs", os.W_OK)


@contextlib.contextmanager
def _cpu_counter() -> Iterator[tuple[list[str], Callable[[], float]]]:
    """Give what to put before a command, and what then tells the CPU seconds of all such commands.

    The kernel ends the processes of a sandbox with its namespace, and nobody waits for those: only a control group
    has their time.
    """
    if not _has_groups():
        before = _waited_for()
        yield [], lambda: _waited_for() - before
        return
    group = _CPU_GROUPS / f"benchmark-{uuid.uuid4().hex}"
    group.mkdir()
    try:
        joining = f'echo $$ > {shlex.quote(str(group / "cgroup.procs"))}; exec "$@"'
        yield ["sh", "-c", joining, "sh"], lambda: int((group / "cpuacct.usage").read_text()) / 1e9
    finally:
        for _ in range(100):  # the last process is gone a moment before the kernel lets go of its group
            with contextlib.suppress(OSError):
                group.rmdir()
                break
            time.sleep(0.05)


def _waited_for() -> float:
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

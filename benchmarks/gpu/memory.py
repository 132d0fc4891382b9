"""Whether the memory of the GPU has been given back."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.gpu.machine import find_driver
from benchmarks.gpu.rows import CheckRow, RowOutcome, attempt
from benchmarks.gpu.settings import CheckSettings
from grader.gpu.own import find_own_gpu

__all__ = ["run"]

_TOLERANCE = 64 * 2**20  # bytes; a context of CUDA takes several hundred MiB
_SECONDS = 8.0  # until the driver has cleared up after processes that were killed
_MIB = 2**20


def run(settings: CheckSettings) -> Iterator[CheckRow]:
    """Say how much memory is in use: more than before the first part is wrong."""
    yield attempt("memory given back", lambda: _compare(settings))


def _compare(settings: CheckSettings) -> CheckRow:
    driver = find_driver(settings)
    gpu = find_own_gpu(driver)
    if gpu is None:
        return CheckRow("", RowOutcome.NOT_HERE, "the driver lists no GPU")
    deadline = time.monotonic() + _SECONDS
    used = driver.used_memory(gpu)
    most = used if settings.used_before is None else settings.used_before + _TOLERANCE
    while used > most and time.monotonic() < deadline:
        time.sleep(0.2)
        used = driver.used_memory(gpu)
    faults = driver.take_faults(gpu)
    processes = [process.pid for process in driver.list_processes(gpu)]
    over = used - (settings.used_before or 0)
    before = (
        "in use before the first part" if settings.used_before is None else "more in use than before the first part"
    )
    detail = f"{over / _MIB:.0f} MiB {before}, {len(processes)} processes" + "".join(f"; {fault}" for fault in faults)
    kept = used > most or bool(faults)
    data = {"used": used, "processes": processes, "faults": list(faults)}
    return CheckRow("", RowOutcome.WRONG if kept else RowOutcome.OK, detail, data=data)

"""That memory of a GPU is given back: what one submission leaves there, the next one must not find or miss."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from grader.errors import DeviceFault
from grader.gpu.device import GPU
from grader.gpu.driver import Driver, GPUProcess

__all__ = ["SECONDS_FOR_MEMORY", "TOLERANCE_BYTES", "require_memory_back"]

# What the driver itself may keep of a process that has ended: chosen, not measured. A context of CUDA alone takes
# several times as much.
TOLERANCE_BYTES = 64 * 2**20
# How long the driver may take to clear up after a process that was killed.
SECONDS_FOR_MEMORY = 30.0

_SHORTEST_PAUSE = 0.01
_LONGEST_PAUSE = 0.5


@contextmanager
def require_memory_back(
    driver: Driver,
    gpu: GPU,
    tolerance: int = TOLERANCE_BYTES,
    seconds: float = SECONDS_FOR_MEMORY,
    baseline: int | None = None,
) -> Iterator[None]:
    """Wait after the body until no more memory of the GPU is in use than before it.

    All memory in use counts, by whatever process, and so do a context and the caches that this process itself opens
    in the body.

    Args:
        driver: the driver.
        gpu: the GPU.
        tolerance: how many bytes more may stay in use.
        seconds: how long to wait.
        baseline: how many bytes were in use when the worker started. With it, what several bodies leave within the
            tolerance does not add up.

    Raises:
        DeviceFault: the memory did not come back, or the GPU does not answer. If the body raised something else, it
            is the cause.
    """
    before = driver.used_memory(gpu)
    if baseline is not None:
        before = min(before, baseline)
    try:
        yield
    except DeviceFault:
        raise  # the GPU is out of use already
    except Exception as error:
        if text := _wait(driver, gpu, before, tolerance, seconds):
            raise DeviceFault(text) from error
        raise
    if text := _wait(driver, gpu, before, tolerance, seconds):
        raise DeviceFault(text)


def _wait(driver: Driver, gpu: GPU, before: int, tolerance: int, seconds: float) -> str:
    """Return "" once the memory is back, otherwise what is still in use after `seconds`."""
    deadline = time.monotonic() + seconds
    pause = _SHORTEST_PAUSE
    while (used := driver.used_memory(gpu)) > before + tolerance:
        left = deadline - time.monotonic()
        if left <= 0:
            return _describe(driver, gpu, before, used, seconds)
        time.sleep(min(pause, left))
        pause = min(2 * pause, _LONGEST_PAUSE)
    return ""


def _describe(driver: Driver, gpu: GPU, before: int, used: int, seconds: float) -> str:
    text = (
        f"GPU {gpu.index} ({gpu.uuid}): {_mib(used)} of its memory are in use {seconds:g} s after the end, "
        f"{_mib(before)} before"
    )
    processes = driver.list_processes(gpu)
    if not processes:
        return (
            f"{text}; the driver lists no process, so it may be one that cannot be ended, or one of another container"
        )
    return f"{text}, by {', '.join(map(_describe_process, processes))}"


def _describe_process(process: GPUProcess) -> str:
    used = "" if process.used_bytes is None else f" ({_mib(process.used_bytes)})"
    return f"process {process.pid}{used}"


def _mib(number: int) -> str:
    return f"{number / 2**20:,.0f} MiB"

"""The GPU of a worker: which one it is, whether it is well, and that it is lost."""

from __future__ import annotations

import logging
import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from grader.errors import DeviceFault, InputError
from grader.gpu.access import find_access
from grader.gpu.device import GPU
from grader.gpu.driver import Driver
from grader.gpu.exclusive import hold_gpu
from grader.gpu.health import check_health
from grader.gpu.memory import require_memory_back
from grader.gpu.nvml import open_driver
from grader.gpu.own import find_own_gpu
from grader.service.queues import CPU, needs_gpu

__all__ = ["DEVICE_LOST", "OwnGPU", "choose_gpu", "hold_own_gpu"]

DEVICE_LOST = 72  # the exit code of a worker whose GPU has failed

_VISIBLE = "CUDA_VISIBLE_DEVICES"

_log = logging.getLogger("grader.service.gpu")


class OwnGPU:
    """A worker's GPU. The worker makes it before it forks, and shares with its processes whether the GPU is lost.

    Args:
        gpu: the GPU, on which nothing runs yet.

    Attributes:
        gpu: the GPU.

    Raises:
        DeviceFault: the GPU does not answer.
    """

    def __init__(self, gpu: GPU) -> None:
        self.gpu = gpu
        self._idle_bytes = self._open_driver().used_memory(gpu)
        self._shared = mmap.mmap(-1, 1)  # memory that forks share

    @property
    def lost(self) -> bool:
        """Whether one of the worker's processes has found that the GPU cannot be used."""
        return self._shared[0] != 0

    def lose(self) -> None:
        """Note that the GPU cannot be used."""
        self._shared[0] = 1

    def check(self) -> None:
        """Make sure that nothing has happened to the GPU since the last call, and that its memory is free.

        Raises:
            DeviceFault: it has failed or does not answer, or a process that graded has left something on it.
        """
        driver = self._open_driver()
        for note in check_health(driver, self.gpu):
            _log.info(note, extra={"facts": {"device": self.gpu.uuid}})
        with require_memory_back(driver, self.gpu, baseline=self._idle_bytes):
            pass  # waits for what another process of this worker had, which may have been killed

    def _open_driver(self) -> Driver:
        try:
            driver = open_driver()
        except InputError as error:  # it worked when the worker started
            raise DeviceFault(f"GPU {self.gpu.uuid}: {error}") from error
        if driver is None:
            raise DeviceFault(f"GPU {self.gpu.uuid}: the driver is gone")
        return driver


def choose_gpu(queues: Sequence[str], processes: int) -> GPU | None:
    """Return the GPU that a worker of these queues uses. Return None if it uses none, or this machine has no driver.

    Raises:
        DeviceFault: the driver does not answer.
        InputError: several GPUs are visible, the worker would share its GPU between submissions, its device files
            cannot be used, or the driver cannot.
    """
    if not any(map(needs_gpu, queues)):
        return None
    gpu = find_own_gpu(open_driver())
    if gpu is None:
        return None
    if CPU in queues:
        raise InputError(f"the queue {CPU} uses no GPU: start a worker for it that serves no other queue")
    if processes > 1:
        raise InputError(f"one submission at a time uses a GPU: give --processes 1, not {processes}")
    find_access(gpu)  # now, with a remedy, and not at each job
    return gpu


@contextmanager
def hold_own_gpu(queues: Sequence[str], processes: int) -> Iterator[OwnGPU | None]:
    """Choose the GPU of a worker as `choose_gpu` does, and keep other workers from it. Yield None if there is none.

    From now on this process and those that it starts see this GPU only; on the queue cpu, they see none.

    Raises:
        DeviceFault: the driver or the GPU does not answer.
        InputError: `choose_gpu` raises it, or another worker holds the GPU.
    """
    gpu = choose_gpu(queues, processes)
    if gpu is None:
        if not any(map(needs_gpu, queues)):
            os.environ[_VISIBLE] = ""
        yield None
        return
    os.environ[_VISIBLE] = gpu.uuid
    with hold_gpu(gpu):
        yield OwnGPU(gpu)

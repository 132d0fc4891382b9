"""The GPU of a session: it is well before and after each submission, and no submission finds what another one left."""

from __future__ import annotations

import logging
from contextlib import ExitStack

from grader.errors import DeviceFault
from grader.gpu.device import GPU
from grader.gpu.driver import Driver
from grader.gpu.health import check_health
from grader.gpu.memory import require_memory_back
from grader.gpu.nvml import open_driver

__all__ = ["GuardedGPU"]

_log = logging.getLogger(__name__)


class GuardedGPU:
    """A GPU that is checked around each submission.

    Args:
        gpu: the GPU or slice, which nothing else uses.
    """

    def __init__(self, gpu: GPU) -> None:
        self.gpu = gpu
        self._memory = ExitStack()  # open as long as the last submission may still have some of it
        self._free: int | None = None  # bytes in use before the first submission

    def begin_submission(self) -> None:
        """Make sure that the GPU is well, and note how much of its memory is in use.

        Raises:
            DeviceFault: it is not well, or the driver is gone.
        """
        driver = self._open_driver()
        self._check(driver)
        if self._free is None:
            self._free = driver.used_memory(self.gpu)
        self._memory.enter_context(require_memory_back(driver, self.gpu, baseline=self._free))

    def check_health(self) -> None:
        """Make sure that the GPU has been well since the last check.

        Raises:
            DeviceFault: it has not, or the driver is gone.
        """
        self._check(self._open_driver())

    def require_memory_back(self) -> None:
        """Wait until the memory of the last submission is free again.

        Raises:
            DeviceFault: it did not come back, or the GPU does not answer.
        """
        self._memory.close()

    def _open_driver(self) -> Driver:
        driver = open_driver()
        if driver is None:
            raise DeviceFault(f"GPU {self.gpu.index} ({self.gpu.uuid}): the driver is gone; see `grader doctor --gpu`")
        return driver

    def _check(self, driver: Driver) -> None:
        for note in check_health(driver, self.gpu):
            _log.warning("on GPU %s: %s", self.gpu.uuid, note)

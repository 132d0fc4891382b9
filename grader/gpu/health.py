"""Whether a GPU is well: before a submission runs on it and after."""

from __future__ import annotations

from grader.errors import DeviceFault
from grader.gpu.device import GPU
from grader.gpu.driver import Driver

__all__ = ["check_health"]


def check_health(driver: Driver, gpu: GPU) -> tuple[str, ...]:
    """Take what has happened to a GPU since the last call.

    Args:
        driver: the driver, opened before what is to be noticed.
        gpu: the GPU.

    Returns:
        What is no fault of the GPU, such as a kernel of a student that read out of bounds. It belongs in a log.

    Raises:
        DeviceFault: the GPU has to be taken out of use. What ran on it since the last call proves nothing.
    """
    faults = list(driver.take_faults(gpu))
    settings = driver.read_settings(gpu)  # this asks the GPU, so one that is lost is noticed without an event
    if settings.recovery:
        faults.append(f"the driver asks for {settings.recovery}")
    if settings.rows_failing:
        faults.append("its memory has errors that cannot be repaired any more (nvidia-smi -q -d ROW_REMAPPER)")
    if faults:
        raise DeviceFault(f"GPU {gpu.index} ({gpu.uuid}): {'; '.join(faults)}")
    return driver.take_notes(gpu)

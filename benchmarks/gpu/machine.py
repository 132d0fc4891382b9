"""The GPU of this machine or, in a rehearsal, what stands in for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.gpu.settings import CheckSettings
from grader.errors import InputError
from grader.gpu.device import GPU, DeviceAccess
from grader.gpu.driver import Driver
from grader.gpu.own import find_own_gpu
from grader.training.datasets import DataSet, find_data_set

__all__ = ["CheckedMachine", "NoGPU", "find_driver", "find_gpu", "open_machine", "prepare_torch", "require_data_set"]


class NoGPU(Exception):
    """There is no GPU, or no driver that tells of one."""


@dataclass(frozen=True)
class CheckedMachine:
    """The GPU that is checked.

    Attributes:
        driver: tells of it.
        gpu: what the driver says.
        access: what a process needs to use it; None if a stand-in needs nothing.
        device: what a cell calls it.
        packages: what a warm process imports to have the device, beside the course's packages.
    """

    driver: Driver
    gpu: GPU
    access: DeviceAccess | None
    device: str
    packages: tuple[str, ...] = ()


def find_driver(settings: CheckSettings) -> Driver:
    """Return the driver.

    Raises:
        NoGPU: there is none.
    """
    if settings.rehearse:
        from tests.support.gpus import StandInDriver

        return StandInDriver()
    from grader.gpu.nvml import open_driver

    driver = open_driver()
    if driver is None:
        raise NoGPU("there is no NVIDIA driver here")
    return driver


def find_gpu(driver: Driver) -> GPU:
    """Return the GPU of this machine.

    Raises:
        NoGPU: there is none.
        InputError: CUDA_VISIBLE_DEVICES names another, or there are several.
    """
    gpu = find_own_gpu(driver)
    if gpu is None:
        raise NoGPU("the driver lists no GPU")
    return gpu


def open_machine(settings: CheckSettings) -> CheckedMachine:
    """Return the GPU of this machine, without using it.

    Raises:
        NoGPU: there is none.
        InputError: CUDA_VISIBLE_DEVICES names another, there are several, or it cannot be given to a sandbox.
    """
    driver = find_driver(settings)
    gpu = find_gpu(driver)
    if settings.rehearse:
        name = _find_stand_in()
        packages = ("tests.support.stand_in_device",) if name != "cpu" else ()
        return CheckedMachine(driver, gpu, _give_harmless_file(gpu), name, packages)
    from grader.gpu.access import find_access

    return CheckedMachine(driver, gpu, find_access(gpu), "cuda")


def prepare_torch(settings: CheckSettings) -> torch.device:
    """Return the device for trainings of our own in this process.

    Raises:
        NoGPU: torch sees none.
    """
    if settings.rehearse:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise NoGPU(f"torch {torch.__version__} (CUDA {torch.version.cuda}) sees no GPU")
    return torch.device("cuda", 0)


def _give_harmless_file(gpu: GPU) -> DeviceAccess:
    """Return access to a device file that every sandbox has, so that passing one is rehearsed."""
    return DeviceAccess(gpu.uuid, (Path("/dev/zero"),))


def require_data_set() -> DataSet:
    """Return Fashion-MNIST.

    Raises:
        InputError: it is not on this machine.
    """
    data = find_data_set()
    if data is None:
        raise InputError("Fashion-MNIST is not on this machine")
    return data


def _find_stand_in() -> str:
    """Return the name of the stand-in device, or "cpu" if this torch is too old for it."""
    try:
        from tests.support.stand_in_device import NAME
    except (ImportError, AttributeError, RuntimeError):
        return "cpu"
    return str(NAME)

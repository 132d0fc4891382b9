"""Everything that the driver tells about a machine's GPUs, and what to do about what is not as it should be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from grader.errors import DeviceFault, InputError
from grader.gpu.device import GPU
from grader.gpu.driver import Driver, GPUProcess, GPUSettings

__all__ = ["Checkup", "GPUCheckup", "check_cuda", "check_gpus"]

# The oldest driver for each major version of CUDA (docs.nvidia.com/deploy/cuda-compatibility). Within a major version,
# what was built with a newer minor one runs too.
_OLDEST_DRIVERS = {11: "450", 12: "525", 13: "580"}


@dataclass(frozen=True)
class GPUCheckup:
    """What the driver tells about one GPU or slice.

    Attributes:
        gpu: the GPU.
        used_bytes: how much of its memory is in use; None if it does not answer.
        processes: what uses it, as far as the driver tells.
        settings: how it is set up.
        problems: what keeps it from grading, each with what to do.
        advice: what would make it better, each with what to do.
    """

    gpu: GPU
    used_bytes: int | None = None
    processes: tuple[GPUProcess, ...] = ()
    settings: GPUSettings = field(default_factory=GPUSettings)
    problems: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


@dataclass(frozen=True)
class Checkup:
    """What the driver tells about all GPUs.

    Attributes:
        driver: the driver's version.
        cuda: the newest version of CUDA that it supports.
        gpus: the GPUs and slices.
        problems: what keeps all of them from grading, or a GPU from being listed, each with what to do.
    """

    driver: str
    cuda: str
    gpus: tuple[GPUCheckup, ...]
    problems: tuple[str, ...]


def check_gpus(driver: Driver, built_with: str | None) -> Checkup:
    """Ask a driver everything.

    Args:
        driver: the driver.
        built_with: the version of CUDA that torch was built with, None if it was built without.
    """
    gpus = tuple(_check(driver, gpu) for gpu in driver.list_gpus())
    problems = [*check_cuda(driver, built_with), *driver.list_problems()]
    if not gpus and not problems:
        problems.append("the driver lists no GPU: see lspci and dmesg; in a container, start it with a GPU")
    return Checkup(driver.version, _join(driver.cuda_version), gpus, tuple(problems))


def check_cuda(driver: Driver, built_with: str | None) -> Iterator[str]:
    """Yield what to do if torch cannot run with the driver."""
    if built_with is None:
        yield "torch was built without CUDA: install the build from PyPI, or one for CUDA (TORCH_INDEX_URL)"
        return
    major = int(built_with.partition(".")[0])
    if driver.cuda_version[0] < major:
        oldest = f"{_OLDEST_DRIVERS[major]} or newer" if major in _OLDEST_DRIVERS else "a newer one"
        yield (
            f"the driver {driver.version} supports CUDA {_join(driver.cuda_version)}, and torch was built with "
            f"{built_with}: install driver {oldest}, or a build of torch for CUDA {driver.cuda_version[0]}"
        )


def _check(driver: Driver, gpu: GPU) -> GPUCheckup:
    try:
        settings = driver.read_settings(gpu)
        used, processes = driver.used_memory(gpu), driver.list_processes(gpu)
        faults = driver.take_faults(gpu)
    except (DeviceFault, InputError) as error:
        return GPUCheckup(gpu, problems=(str(error),))
    problems = (*(f"{fault}: look at dmesg before it is used" for fault in faults), *_list_problems(settings))
    return GPUCheckup(gpu, used, processes, settings, problems, tuple(_list_advice(settings)))


def _list_problems(settings: GPUSettings) -> Iterator[str]:
    if settings.recovery:
        yield f"the driver asks for {settings.recovery} before it is used again"
    if settings.rows_failing:
        yield "its memory has errors that cannot be repaired any more: have it replaced"
    if settings.compute_mode == "prohibited":
        yield "its compute mode forbids programs: nvidia-smi -c DEFAULT"
    elif settings.compute_mode == "exclusive process":
        # It would be no second protection: the trainer and a notebook's kernel are two processes.
        yield "its compute mode allows one process, and grading needs two at once: nvidia-smi -c DEFAULT"


def _list_advice(settings: GPUSettings) -> Iterator[str]:
    if settings.rows_pending:
        yield "its memory is repaired at the next reset: nvidia-smi --gpu-reset while it is not in use"
    if settings.ecc is False:
        yield "errors in its memory go unnoticed: nvidia-smi -e 1, then a restart"
    if settings.persistence is False:
        yield "the driver shuts it down when nothing uses it, so each start takes longer: nvidia-smi -pm 1"


def _join(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))

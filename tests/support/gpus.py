"""GPUs that do not exist, and a driver that tells of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from grader.errors import DeviceFault
from grader.gpu.device import GPU
from grader.gpu.driver import GPUProcess, GPUSettings

__all__ = ["GIB", "StandInDriver", "make_gpu", "make_slice"]

GIB = 2**30


def make_gpu(index: int = 0, name: str = "NVIDIA H200", gib: int = 140) -> GPU:
    """Return a whole GPU with a UUID of its number."""
    return GPU(f"GPU-{index:08x}-1111-2222-3333-444444444444", name, gib * GIB, index, minor=index)


def make_slice(number: int = 0, index: int = 0, gib: int = 16, gpu_instance: int | None = None) -> GPU:
    """Return a slice of a GPU with a UUID of both numbers."""
    return GPU(
        uuid=f"MIG-{index:08x}-{number:04x}-2222-3333-444444444444",
        name=f"NVIDIA H200 MIG 1g.{gib}gb",
        memory_bytes=gib * GIB,
        index=index,
        minor=index,
        gpu_instance=7 + number if gpu_instance is None else gpu_instance,
        compute_instance=0,
    )


@dataclass
class StandInDriver:
    """A `Driver` that tells what a test says. All of it may be changed while it is in use.

    Attributes:
        gpus: the GPUs and slices.
        version: the driver's version.
        cuda_version: the newest version of CUDA that it supports.
        used: the memory in use by UUID, in bytes; or a function that returns it, called each time.
        processes: the processes by UUID.
        faults: what `take_faults` gives next, by UUID.
        notes: what `take_notes` gives next, by UUID.
        settings: the settings by UUID.
        problems: what `list_problems` gives.
        lost: the UUIDs of GPUs that do not answer any more.
    """

    gpus: tuple[GPU, ...] = field(default_factory=lambda: (make_gpu(),))
    version: str = "580.95.05"
    cuda_version: tuple[int, int] = (13, 0)
    used: dict[str, int | Callable[[], int]] = field(default_factory=dict)
    processes: dict[str, Iterable[GPUProcess]] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    settings: dict[str, GPUSettings] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    lost: set[str] = field(default_factory=set)

    def list_gpus(self) -> tuple[GPU, ...]:
        """Return the GPUs that are not lost."""
        return tuple(gpu for gpu in self.gpus if gpu.uuid not in self.lost)

    def list_problems(self) -> tuple[str, ...]:
        """Return a sentence for each lost GPU, and those that the test gave."""
        return (*(f"GPU {gpu.index}: it is lost" for gpu in self.gpus if gpu.uuid in self.lost), *self.problems)

    def used_memory(self, gpu: GPU) -> int:
        """Return the memory in use."""
        self._check(gpu)
        used = self.used.get(gpu.uuid, 0)
        return used() if callable(used) else used

    def list_processes(self, gpu: GPU) -> tuple[GPUProcess, ...]:
        """Return the processes."""
        self._check(gpu)
        return tuple(self.processes.get(gpu.uuid, ()))

    def take_faults(self, gpu: GPU) -> tuple[str, ...]:
        """Return the faults, each once."""
        return tuple(self.faults.pop(gpu.uuid, ()))

    def take_notes(self, gpu: GPU) -> tuple[str, ...]:
        """Return the notes, each once."""
        return tuple(self.notes.pop(gpu.uuid, ()))

    def read_settings(self, gpu: GPU) -> GPUSettings:
        """Return the settings."""
        self._check(gpu)
        return self.settings.get(gpu.uuid, GPUSettings())

    def _check(self, gpu: GPU) -> None:
        if gpu.uuid in self.lost or gpu not in self.gpus:
            raise DeviceFault(f"GPU {gpu.index} ({gpu.uuid}): it is lost")

"""What the driver of GPUs is asked. Nothing else in the product asks what GPUs there are, or how they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from grader.gpu.device import GPU

__all__ = ["Driver", "GPUProcess", "GPUSettings"]


@dataclass(frozen=True)
class GPUProcess:
    """A process that uses a GPU.

    Attributes:
        pid: its number where the driver runs. In a container this may be the host's number and mean nothing here.
        used_bytes: the memory that it has on the GPU; None if the driver does not say.
    """

    pid: int
    used_bytes: int | None = None


@dataclass(frozen=True)
class GPUSettings:
    """How a GPU is set up. A value is None if the driver does not say, as for a kind of GPU without the setting.

    Attributes:
        mig: whether it is divided into slices (MIG mode).
        ecc: whether its memory corrects errors.
        persistence: whether the driver stays loaded while no process uses it.
        compute_mode: "default", "exclusive process", "prohibited", or the driver's number of another mode.
        rows_failing: whether its memory has errors that can no longer be repaired.
        rows_pending: whether its memory is repaired at the next reset.
        recovery: what the driver asks for before the GPU is used again, such as "a reset of the GPU"; "" for nothing.
    """

    mig: bool | None = None
    ecc: bool | None = None
    persistence: bool | None = None
    compute_mode: str | None = None
    rows_failing: bool | None = None
    rows_pending: bool | None = None
    recovery: str | None = None


class Driver(Protocol):
    """The driver, opened.

    All methods raise a DeviceFault if the GPU does not answer, and an InputError that says what to do if the driver
    refuses.
    """

    @property
    def version(self) -> str:
        """The driver's version, such as "580.95.05"."""

    @property
    def cuda_version(self) -> tuple[int, int]:
        """The newest version of CUDA that the driver supports, such as (13, 0)."""

    def list_gpus(self) -> tuple[GPU, ...]:
        """Return the GPUs that answer, by their number; in place of a GPU in MIG mode, its slices."""

    def list_problems(self) -> tuple[str, ...]:
        """Return for each GPU that `list_gpus` cannot return, or that has no slice, a sentence that says what to do."""

    def used_memory(self, gpu: GPU) -> int:
        """Return how many bytes of a GPU's memory are in use, by whatever process."""

    def list_processes(self, gpu: GPU) -> tuple[GPUProcess, ...]:
        """Return the processes on a GPU. In a container there may be none although its memory is in use."""

    def take_faults(self, gpu: GPU) -> tuple[str, ...]:
        """Return what has happened to a GPU since the last call and takes it out of use, a sentence each."""

    def take_notes(self, gpu: GPU) -> tuple[str, ...]:
        """Return what has happened on a GPU since the last call and is no fault of it, a sentence each, for logs."""

    def read_settings(self, gpu: GPU) -> GPUSettings:
        """Return how a GPU, or that of a slice, is set up."""

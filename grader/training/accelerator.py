"""What a trainer asks the device that it trains on. Nothing else of the product asks torch about a GPU.

Only processes that train use this, and only after they have started: a process that has asked CUDA for anything can no
longer fork. Which GPU they see is decided before they start (`devices.py`).
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import torch

from grader.memory_limit import allow_memory
from grader.models.stepping import CaptureFailed, StepRecorder

__all__ = ["CPU", "CUDA", "Accelerator", "AcceleratorVersions", "DeviceLost", "FailureKind"]

_HOST_BYTES = 16 * 2**30  # of host memory that a process with a GPU may take: the driver's, torch's and the data set's
# Errors of CUDA by number (cudaError_t), and of its libraries by word. A program can cause those of the second line by
# itself, so that an odd model might take every GPU out of use. If the GPU is to blame for one, its driver says so.
_MEMORY_ALLOCATION = 2
_OF_PROGRAMS = {1, 9, 98, 209, 700, 710, 715, 716, 717, 718, 719, 801, *range(900, 910)}
_MEMORY_WORDS = ("out of memory", "_STATUS_ALLOC_FAILED")
_PROGRAM_WORDS = (
    *("_NOT_SUPPORTED", "_INVALID_VALUE", "_BAD_PARAM", "_ARCH_MISMATCH", "when stream is capturing"),
    *("illegal memory access", "device-side assert", "misaligned address", "unspecified launch failure"),
    *("invalid argument", "invalid configuration", "no kernel image", "operation not supported"),
)
_DEVICE_WORDS = ("CUDA error", "CUDA driver error", "CUBLAS_STATUS_", "CUDNN_STATUS_", "No CUDA GPUs are available")


class FailureKind(StrEnum):
    """Why a training failed."""

    MEMORY = "memory"  # the device has too little at the moment
    DEVICE = "device"  # the device or its driver failed
    OURS = "ours"  # the training itself: a fault of ours, or of torch


class DeviceLost(Exception):
    """The process was started for a GPU, and CUDA shows it none."""


@dataclass(frozen=True)
class AcceleratorVersions:
    """What decides the numbers of a training on a GPU, besides torch's own version.

    Libraries choose their algorithms by the GPU's kind and by how many multiprocessors it has, which are fewer in a
    slice. The driver's version is not among them: torch and its libraries bring code that was compiled for these GPUs.

    Attributes:
        name: the GPU's kind, as CUDA names it.
        capability: the GPU's compute capability, as "9.0".
        multiprocessors: how many it has.
        cuda: the version of CUDA that torch was built for.
        cudnn: the version of cuDNN that is loaded.
    """

    name: str
    capability: str
    multiprocessors: int
    cuda: str
    cudnn: str


class Accelerator(StepRecorder, Protocol):
    """A device to train on."""

    @property
    def device(self) -> torch.device:
        """Where tensors are put."""

    @property
    def is_gpu(self) -> bool:
        """Whether steps are recorded and large models computed in bfloat16."""

    def prepare(self) -> None:
        """Choose deterministic algorithms, once, before anything else.

        Raises:
            DeviceLost: there is no GPU.
        """

    def describe(self) -> AcceleratorVersions:
        """Return what decides numbers."""

    def limit_memory(self, most: int | None) -> None:
        """Let the next training take `most` bytes, or all that there are."""

    def release(self) -> None:
        """Give back all memory that no tensor uses."""

    def classify(self, error: BaseException) -> FailureKind:
        """Say what an error of a training is about."""


class CPU:
    """Trains on the CPU, eagerly and in float32."""

    device = torch.device("cpu")
    is_gpu = False

    def prepare(self) -> None:
        """Nothing needs to be chosen: with one thread, a CPU computes the same each time."""

    def describe(self) -> AcceleratorVersions:
        """Raise an error: on a CPU, the cache of results knows by itself what decides numbers."""
        raise NotImplementedError

    def limit_memory(self, most: int | None) -> None:
        """Limit the memory of this process."""
        if most is not None:
            allow_memory(most)

    def release(self) -> None:
        """Leave it to Python."""

    def classify(self, error: BaseException) -> FailureKind:
        """Return that it is a fault of ours, also for a lack of memory: another process may have taken it."""
        return FailureKind.OURS

    @contextmanager
    def warm_up(self) -> Iterator[None]:
        """Do nothing: on a CPU no step is recorded."""
        yield

    def capture(self, step: Callable[[], None]) -> Callable[[], object]:
        """Return the step itself."""
        return step


class CUDA:
    """Trains on the one GPU that this process sees.

    Args:
        cuda: `torch.cuda`. A test gives a stand-in, and the CPU as `device`.
        device: where tensors are put.
    """

    is_gpu = True

    def __init__(self, cuda: Any = torch.cuda, device: torch.device | None = None) -> None:
        self._cuda = cuda
        self.device = device or torch.device("cuda", 0)

    def prepare(self) -> None:
        """Choose deterministic algorithms and full float32, for all computations of this process.

        Operations without a deterministic algorithm are computed all the same (`warn_only`): a model that pools
        adaptively must not fail for it. Two trainings of such a model may differ in their last digits.
        """
        allow_memory(_HOST_BYTES)
        if not self._cuda.is_available() or self._cuda.device_count() != 1:
            raise DeviceLost("CUDA shows this process no GPU, or several")
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Nothing of ours reads memory that was not written.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = False  # it would choose an algorithm by its time
        torch.backends.cudnn.deterministic = True
        torch.backends.fp32_precision = "ieee"  # type: ignore[attr-defined]  # no TF32
        torch.backends.cuda.matmul.fp32_precision = "ieee"
        torch.backends.cudnn.fp32_precision = "ieee"
        torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False

    def describe(self) -> AcceleratorVersions:
        """Return what decides numbers."""
        properties = self._cuda.get_device_properties(self.device)
        return AcceleratorVersions(
            name=str(properties.name),
            capability=f"{properties.major}.{properties.minor}",
            multiprocessors=int(properties.multi_processor_count),
            cuda=str(torch.version.cuda),
            cudnn=str(torch.backends.cudnn.version()),
        )

    def limit_memory(self, most: int | None) -> None:
        """Limit what torch allocates on the GPU. What CUDA's context takes is not part of it."""
        total = int(self._cuda.get_device_properties(self.device).total_memory)
        share = 1.0 if most is None else min(1.0, most / total)
        self._cuda.set_per_process_memory_fraction(share, self.device)

    def release(self) -> None:
        """Give back all memory that no tensor uses. What a recording took is free only after Python's collector ran."""
        gc.collect()
        self._cuda.synchronize()
        self._cuda.empty_cache()

    def classify(self, error: BaseException) -> FailureKind:
        """Return whether memory ran out, or the device failed, by CUDA's number or by torch's words."""
        text, number = str(error), getattr(error, "error_code", None)
        if isinstance(error, torch.OutOfMemoryError) or number == _MEMORY_ALLOCATION:
            return FailureKind.MEMORY
        if isinstance(error, DeviceLost):
            return FailureKind.DEVICE
        if not isinstance(error, RuntimeError):
            return FailureKind.OURS
        if number is not None:
            return FailureKind.OURS if number in _OF_PROGRAMS else FailureKind.DEVICE
        if any(word in text for word in _MEMORY_WORDS):
            return FailureKind.MEMORY
        if any(word in text for word in _PROGRAM_WORDS):
            return FailureKind.OURS
        is_of_device = isinstance(error, torch.AcceleratorError) or any(word in text for word in _DEVICE_WORDS)
        return FailureKind.DEVICE if is_of_device else FailureKind.OURS

    @contextmanager
    def warm_up(self) -> Iterator[None]:
        """Take a step on a stream of its own, as torch asks for before one is recorded."""
        stream = self._cuda.Stream()
        stream.wait_stream(self._cuda.current_stream())
        with self._cuda.stream(stream):
            yield
        self._cuda.current_stream().wait_stream(stream)

    def capture(self, step: Callable[[], None]) -> Callable[[], object]:
        """Record a step as a CUDA graph.

        torch registers its generator with each graph, so that dropout drops other numbers in each step.

        Raises:
            CaptureFailed: the step does something that cannot be recorded.
        """
        graph = self._cuda.CUDAGraph()
        try:
            with self._cuda.graph(graph):
                step()
        except Exception as error:
            if self.classify(error) is not FailureKind.OURS:
                raise
            raise CaptureFailed(str(error)) from error
        replay: Callable[[], object] = graph.replay
        return replay

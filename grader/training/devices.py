"""Decides where trusted trainings run: on this process's GPU, or on the CPU.

The process that grades never asks CUDA, because it forks. It asks the driver, and only the processes that train use
the GPU: they are told which by an environment of their own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from grader.errors import InputError
from grader.gpu.device import GPU
from grader.gpu.nvml import open_driver
from grader.gpu.own import find_own_gpu
from grader.models.recipe import Mode

__all__ = ["choose_concurrency", "choose_default_mode", "find_gpu", "make_environment"]

_AT_ONCE_ON_GPU = 8  # small trainings: each has a CUDA context, and they take turns
# They would change numbers, or keep steps from being recorded.
_NOT_INHERITED = (
    "CUDA_LAUNCH_BLOCKING",
    "PYTORCH_ALLOC_CONF",
    "PYTORCH_CUDA_ALLOC_CONF",
    "PYTORCH_NO_CUDA_MEMORY_CACHING",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
)


def find_gpu() -> GPU | None:
    """Return the GPU that CUDA_VISIBLE_DEVICES names, or the only one of this machine, or None.

    Raises:
        InputError: there are several, or the one that is named is not there.
    """
    return find_own_gpu(open_driver())


def choose_default_mode() -> Mode:
    """Return the default mode: the book's recipes if there is a GPU, else those for a CPU.

    Several GPUs without a choice among them, or one that does not work, are no reason to grade nothing: then it is the
    mode without one. `--training full` says what is wrong.
    """
    try:
        return Mode.QUICK if find_gpu() is None else Mode.FULL
    except InputError:
        return Mode.QUICK


def choose_concurrency(gpu: GPU | None) -> int:
    """Return how many processes train at once: one on each core, with one thread, or a few small ones on a GPU.

    Two threads for one training would cost a tenth more than they save, and give other numbers than one thread. On a
    GPU, too, each training has a process of its own: with its own random numbers, recording and errors.
    """
    return len(os.sched_getaffinity(0)) if gpu is None else _AT_ONCE_ON_GPU


def make_environment(gpu: GPU | None, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process that trains. It sees this GPU alone, or none."""
    environment = {**inherited, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": gpu.uuid if gpu else ""}
    if gpu is not None:
        for name in _NOT_INHERITED:
            environment.pop(name, None)
        # The first makes cuBLAS deterministic, and the second forbids TF32 whatever else is set.
        environment |= {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "NVIDIA_TF32_OVERRIDE": "0"}
    return environment

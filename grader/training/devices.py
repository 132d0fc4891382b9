"""Where trainings run: the one place that decides between a GPU and the CPU."""

from __future__ import annotations

import os

import torch

from grader.models.recipe import Mode

__all__ = ["choose_concurrency", "choose_default_mode", "choose_device"]


def choose_device() -> torch.device:
    """Return the device of trusted trainings: the first GPU where one can be used, else the CPU."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


def choose_default_mode() -> Mode:
    """Return what is done with trainings where nobody says: the book's where there is a GPU, the CPU's recipes else."""
    return Mode.FULL if choose_device().type == "cuda" else Mode.QUICK


def choose_concurrency(device: torch.device) -> int:
    """Return how many processes train: one for a GPU, which it fills; one for each core, each on one thread, else.

    Two threads on one training would cost a tenth more than they save, and give other numbers than one.
    """
    return 1 if device.type == "cuda" else len(os.sched_getaffinity(0))

"""Where trainings run: the one place that decides between a GPU and the CPU."""

from __future__ import annotations

import os

import torch

from grader.models.recipe import Mode

__all__ = ["default_mode", "training_device", "trainings_at_once"]


def training_device() -> torch.device:
    """Return the device of trusted trainings: the first GPU where one can be used, else the CPU."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


def default_mode() -> Mode:
    """Return what is done with trainings where nobody says: the book's where there is a GPU, the CPU's recipes else."""
    return Mode.FULL if training_device().type == "cuda" else Mode.QUICK


def trainings_at_once(device: torch.device) -> int:
    """Return how many processes train: one for a GPU, which it fills; one for each core, each on one thread, else.

    Two threads on one training would cost a tenth more than they save, and give other numbers than one.
    """
    return 1 if device.type == "cuda" else len(os.sched_getaffinity(0))

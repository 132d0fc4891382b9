"""Decides whether trainings run on a GPU or on the CPU."""

from __future__ import annotations

import os

import torch

from grader.models.recipe import Mode

__all__ = ["choose_concurrency", "choose_default_mode", "choose_device"]


def choose_device() -> torch.device:
    """Return the device of trusted trainings: the first usable GPU, or the CPU."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


def choose_default_mode() -> Mode:
    """Return the default mode: the book's recipes if there is a GPU, else those for a CPU."""
    return Mode.FULL if choose_device().type == "cuda" else Mode.QUICK


def choose_concurrency(device: torch.device) -> int:
    """Return how many processes train at once: one on a GPU, which it fills, or one on each core, with one thread.

    Two threads for one training would cost a tenth more than they save, and give other numbers than one thread.
    """
    return 1 if device.type == "cuda" else len(os.sched_getaffinity(0))

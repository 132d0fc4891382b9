"""The messages between a trainer (`trainer.py`) and the processes that train for it (`trainer_process.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from grader.models.recipe import Recipe
from grader.training.cache import TrainingResult

__all__ = ["TRAINING_ANSWERS", "TrainingAnswer", "TrainingDone", "TrainingProgress", "TrainingRequest"]


@dataclass(frozen=True)
class TrainingRequest:
    """Train one model.

    Attributes:
        graph: the model, as `Graph.to_json` writes it.
        recipe: how to train it.
        seed: decides the initialisation and the order of the images.
        device: the torch device to train on.
        data_set: one of `DATA_SETS`.
        data_folder: where the data set must be; None to look for it.
        data_sha256: the sha256 that the data set must have.
    """

    graph: str
    recipe: Recipe
    seed: int
    device: str
    data_set: str
    data_folder: Path | None
    data_sha256: str


@dataclass(frozen=True)
class TrainingProgress:
    """The `share` of the training that is done, from 0 to 1."""

    share: float


@dataclass(frozen=True)
class TrainingDone:
    """The training has ended."""

    result: TrainingResult


TrainingAnswer: TypeAlias = TrainingProgress | TrainingDone
TRAINING_ANSWERS: tuple[type[TrainingAnswer], ...] = (TrainingProgress, TrainingDone)

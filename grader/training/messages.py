"""The messages to processes that train (`trainer.py`) or compute (`probing.py`) students' graphs, and their answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from grader.models.recipe import Recipe
from grader.sandbox.protocol.encoding import Array
from grader.training.accelerator import AcceleratorVersions, FailureKind
from grader.training.cache import TrainingResult

__all__ = [
    "PROBE_ANSWERS",
    "TRAINER_REQUESTS",
    "TRAINING_ANSWERS",
    "VERSIONS_ANSWERS",
    "ProbeAnswer",
    "ProbeFailure",
    "ProbeRequest",
    "TrainingAnswer",
    "TrainingDone",
    "TrainingFailed",
    "TrainingProgress",
    "TrainingRequest",
    "VersionsRequest",
]


@dataclass(frozen=True)
class TrainingRequest:
    """Train one model.

    Attributes:
        graph: the model, as `Graph.to_json` writes it.
        recipe: how to train it.
        seed: decides the initialisation and the order of the images.
        alone: whether nothing else runs on the device, so that it may take all of its memory.
        data_set: one of `DATA_SETS`.
        data_folder: where the data set must be; None to look for it.
        data_sha256: the sha256 that the data set must have.
    """

    graph: str
    recipe: Recipe
    seed: int
    alone: bool
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


@dataclass(frozen=True)
class TrainingFailed:
    """The training, or the device, failed with this error."""

    kind: FailureKind
    message: str


@dataclass(frozen=True)
class VersionsRequest:
    """Say what decides numbers on the device; the answer is an `AcceleratorVersions` or a `TrainingFailed`."""


TrainingAnswer: TypeAlias = TrainingProgress | TrainingDone | TrainingFailed
TRAINING_ANSWERS: tuple[type[TrainingAnswer], ...] = (TrainingProgress, TrainingDone, TrainingFailed)
VERSIONS_ANSWERS: tuple[type[AcceleratorVersions | TrainingFailed], ...] = (AcceleratorVersions, TrainingFailed)
TRAINER_REQUESTS: tuple[type[TrainingRequest | VersionsRequest], ...] = (TrainingRequest, VersionsRequest)


@dataclass(frozen=True)
class ProbeRequest:
    """Compute a student's graph.

    Attributes:
        computation: what to compute; `probing.py` has a function for each.
        graph: the model, as `Graph.to_json` writes it.
        images: (n, c, h, w).
        secret: the seed of the weights.
        option: whether dropout drops in eval mode ("probe"), or whether to compute in train mode ("outputs").
        operations: those whose layers are counted ("influence").
    """

    computation: Literal["probe", "outputs", "influence"]
    graph: str
    images: Array
    secret: int
    option: bool
    operations: tuple[str, ...]


@dataclass(frozen=True)
class ProbeAnswer:
    """The results, each with its name; none if there is no result."""

    names: tuple[str, ...]
    tensors: tuple[Array, ...]


@dataclass(frozen=True)
class ProbeFailure:
    """The graph could not be computed, or takes too much memory or time (`too_large`)."""

    message: str
    too_large: bool


PROBE_ANSWERS: tuple[type[ProbeAnswer | ProbeFailure], ...] = (ProbeAnswer, ProbeFailure)

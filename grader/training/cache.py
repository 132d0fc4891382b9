"""A cache of training results by content, so that a class that shares a model trains it once."""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from grader.cache_folder import cache_folder, write_whole
from grader.models.fit import CurvePoint
from grader.models.recipe import Recipe
from grader.training.accelerator import AcceleratorVersions
from grader.training.graph import Graph

__all__ = ["ResultCache", "TrainingJob", "TrainingResult"]

_FORMAT = "1"  # of the results; raise it if the training loop or the initialisation changes
_FORMAT_ON_GPU = "1"  # raise it if what is special to a GPU changes: precision, resizing, recording


@dataclass(frozen=True)
class TrainingJob:
    """A model to train: its graph, how to train it, and the seed of its initialisation and of the order of images."""

    graph: Graph
    recipe: Recipe
    seed: int


@dataclass(frozen=True)
class TrainingResult:
    """The result of a training job.

    Attributes:
        seed: the job's seed.
        accuracy: on withheld images; 0 if the training diverged.
        finite: whether every loss was a finite number.
        points: the learning curve.
    """

    seed: int
    accuracy: float
    finite: bool
    points: tuple[CurvePoint, ...]


class ResultCache:
    """The results in a folder; several processes may use it at once.

    Args:
        data: the sha256 of the data set.
        device: "cpu", or what decides the numbers on a GPU. A GPU's host decides nothing: it only draws the initial
            weights and the order of images, which are the same everywhere.
        folder: where results are; None for the grader's cache.
    """

    def __init__(self, data: str, device: Literal["cpu"] | AcceleratorVersions, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder() / "trainings"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._environment: dict[str, Any] = {"form": _FORMAT, "data": data, "torch": torch.__version__}
        if device == "cpu":
            self._environment |= {
                "device": "cpu",
                "threads": 1,
                "instructions": torch.backends.cpu.get_cpu_capability(),
                "machine": platform.machine(),
            }
        else:
            self._environment |= {"device": asdict(device), "loop": _FORMAT_ON_GPU}

    def key(self, job: TrainingJob) -> str:
        """Return the sha256 of everything that determines the result."""
        content = {
            "graph": job.graph.to_json(),
            "recipe": job.recipe.training,
            "seed": job.seed,
            **self._environment,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def get(self, job: TrainingJob) -> TrainingResult | None:
        """Return the cached result of a job, or None if it is missing or cannot be read."""
        try:
            return _decode_result(json.loads(self._path(job).read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, job: TrainingJob, result: TrainingResult) -> None:
        """Cache a result."""
        write_whole(self._path(job), json.dumps(_encode_result(result), sort_keys=True).encode())

    @contextmanager
    def lock(self, job: TrainingJob) -> Iterator[None]:
        """Let only one process at a time compute this result; those that waited find it in the cache."""
        with open(self._path(job).with_suffix(".lock"), "a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _path(self, job: TrainingJob) -> Path:
        return self.folder / f"{self.key(job)}.json"


def _encode_result(result: TrainingResult) -> dict[str, Any]:
    """Return a result as JSON values; numbers that are not finite become None."""
    values = asdict(result)
    values["points"] = [
        [value if math.isfinite(value) else None for value in (point.epoch, point.loss, point.accuracy)]
        for point in result.points
    ]
    return values


def _decode_result(values: dict[str, Any]) -> TrainingResult:
    """Return the result that `_encode_result` turned into JSON values."""
    points = tuple(
        CurvePoint(*(math.nan if value is None else float(value) for value in point)) for point in values["points"]
    )
    return TrainingResult(int(values["seed"]), float(values["accuracy"]), bool(values["finite"]), points)

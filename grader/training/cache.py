"""Results of trainings by their content, so that a class that shares a model trains it once."""

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
from typing import Any

import torch

from grader.cache_folder import cache_folder, write_whole
from grader.models.fit import CurvePoint
from grader.models.recipe import Recipe
from grader.training.graph import Graph

__all__ = ["ResultCache", "TrainingJob", "TrainingResult"]

_FORM = "1"  # of what is computed and kept; another where the training loop or the initialisation changes


@dataclass(frozen=True)
class TrainingJob:
    """One training: a graph, how it is trained, and the seed of its initialisation and of the order of images."""

    graph: Graph
    recipe: Recipe
    seed: int


@dataclass(frozen=True)
class TrainingResult:
    """What a training came to: accuracy on withheld images, and the learning curve; `finite` if no loss was NaN."""

    seed: int
    accuracy: float
    finite: bool
    points: tuple[CurvePoint, ...]


class ResultCache:
    """The results in a folder; several processes may use it at once.

    Args:
        data: the sha256 of the data set.
        device: what trained ("cpu", or a GPU's name).
        folder: where; None for the grader's cache.
    """

    def __init__(self, data: str, device: str, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder() / "trainings"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._surroundings = {
            "form": _FORM,
            "data": data,
            "device": device,
            "torch": torch.__version__,
            "threads": 1,
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "machine": platform.machine(),
        }

    def key(self, attempt: TrainingJob) -> str:
        """Return the sha256 of everything that decides the result."""
        content = {
            "graph": attempt.graph.to_json(),
            "recipe": attempt.recipe.training,
            "seed": attempt.seed,
            **self._surroundings,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def get(self, attempt: TrainingJob) -> TrainingResult | None:
        """Return a result that is there; what cannot be read is not there."""
        try:
            values = json.loads(self._path(attempt).read_text(encoding="utf-8"))
            return decode_result(values)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, attempt: TrainingJob, run: TrainingResult) -> None:
        """Keep a result."""
        write_whole(self._path(attempt), json.dumps(encode_result(run), sort_keys=True).encode())

    @contextmanager
    def alone(self, attempt: TrainingJob) -> Iterator[None]:
        """Let only one process at a time make this result; who waited finds it made."""
        with open(self._path(attempt).with_suffix(".lock"), "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _path(self, attempt: TrainingJob) -> Path:
        return self.folder / f"{self.key(attempt)}.json"


def encode_result(run: TrainingResult) -> dict[str, Any]:
    """Return a result as JSON values; numbers that are not finite become None."""
    values = asdict(run)
    values["points"] = [
        [value if math.isfinite(value) else None for value in (point.epoch, point.loss, point.accuracy)]
        for point in run.points
    ]
    return values


def decode_result(values: dict[str, Any]) -> TrainingResult:
    """Return the result that `values_of` wrote."""
    points = tuple(
        CurvePoint(*(math.nan if value is None else float(value) for value in point)) for point in values["points"]
    )
    return TrainingResult(int(values["seed"]), float(values["accuracy"]), bool(values["finite"]), points)

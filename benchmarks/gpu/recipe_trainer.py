"""The trusted trainer of this machine, timed without the start of its processes."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.gpu.machine import find_driver, find_gpu, require_data_set
from benchmarks.gpu.settings import CheckSettings
from benchmarks.trainings import textbook
from grader.gpu.device import GPU
from grader.models.recipe import Recipe
from grader.training.cache import ResultCache, TrainingJob, TrainingResult
from grader.training.datasets import DataSet
from grader.training.trainer import Trainer

__all__ = ["RecipeTrainer", "TimedTraining"]


@dataclass(frozen=True)
class TimedTraining:
    """A training's result, and how long it and those beside it took."""

    result: TrainingResult
    seconds: float


@dataclass(frozen=True)
class RecipeTrainer:
    """Trains the textbook's models by recipes, on the GPU or, in a rehearsal, on the CPU."""

    data: DataSet
    gpu: GPU | None

    @classmethod
    def open(cls, settings: CheckSettings) -> RecipeTrainer:
        """Return the trainer of this machine.

        Raises:
            NoGPU: there is no GPU.
            InputError: the data set is missing.
        """
        return cls(require_data_set(), None if settings.rehearse else find_gpu(find_driver(settings)))

    def train(self, recipes: Mapping[str, Recipe], *, kept: bool = False) -> dict[str, TimedTraining]:
        """Train each item's model once with the first seed, all at once.

        Args:
            recipes: the recipes, by item.
            kept: whether results go into the grader's own cache, where those of homework are looked for.
        """
        chains = {item: [TrainingJob(textbook(item, recipe), recipe, 0)] for item, recipe in recipes.items()}
        with ExitStack() as stack:
            trainer = stack.enter_context(Trainer(self.data, gpu=self.gpu))
            if self.gpu is None or not kept:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                cache = _make_cache(self.data, trainer, folder)
                trainer = stack.enter_context(Trainer(self.data, results=cache, gpu=self.gpu))
            self._start(trainer, recipes)
            before = trainer.seconds
            results = trainer.train(chains)
            return {item: TimedTraining(chain[0], trainer.seconds - before) for item, chain in results.items()}

    def _start(self, trainer: Trainer, recipes: Mapping[str, Recipe]) -> None:
        """Start a process for each training, which then has the data set."""
        tiny = {
            item: replace(recipe, images=2 * recipe.batch, epochs=1, judged=64, seeds=1, lr=recipe.lr / 7)
            for item, recipe in recipes.items()
        }
        trainer.train({item: [TrainingJob(textbook(item, recipe), recipe, 0)] for item, recipe in tiny.items()})


def _make_cache(data: DataSet, trainer: Trainer, folder: Path) -> ResultCache:
    """Return a cache of results of its own, in which a training of today is not found."""
    versions = trainer.describe()
    return ResultCache(data.sha256, "cpu" if versions is None else versions, folder)

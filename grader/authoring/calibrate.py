"""Finds the accuracy that trainings must reach: right models train with many seeds, and the threshold lies below them.

Right models are those of the model solution and of the alternatives beside the rubric, and of notebooks that the caller
vouches for; each different graph counts once. They go the way that a submission's models go.
"""

from __future__ import annotations

import datetime
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import tomlkit
import torch

from grader.assignment import Assignment, Item
from grader.authoring.verify import find_known_submissions
from grader.errors import AssignmentError
from grader.grading.grade import grade
from grader.judging.loading import load_rubric
from grader.models.recipe import Mode
from grader.results.calibration import Calibration, Distribution
from grader.sandbox.host.sandbox import Zygote
from grader.submission.submission import Submission
from grader.training.cache import TrainingJob, TrainingResult
from grader.training.graph import Graph
from grader.training.trainer import Trainer

__all__ = ["calibrate", "write_thresholds"]


class _Collector(Trainer):
    """Takes down what would be trained, and trains nothing."""

    collected: dict[str, list[TrainingJob]]

    def train(
        self, chains: Mapping[str, Sequence[TrainingJob]], progress: Callable[[str], None] = lambda _: None
    ) -> dict[str, list[TrainingResult]]:
        """Keep the attempts."""
        self.collected = {name: list(attempts) for name, attempts in chains.items()}
        return {}


def calibrate(
    assignment: Assignment,
    zygote: Zygote,
    trainer: Trainer,
    mode: Mode,
    *,
    seeds: int,
    models: int,
    others: Mapping[str, Submission],
    progress: Callable[[str], None] = lambda _: None,
) -> list[Calibration]:
    """Train the right models of an assignment with many seeds.

    Args:
        assignment: the rubric, with its recipes.
        zygote: the warm process to fork sandboxes from.
        trainer: what trains.
        mode: whose recipes are calibrated.
        seeds: how many trainings for each graph.
        models: how many different graphs for each item, those that most submissions share first.
        others: by name, further submissions whose models are known to be right.
        progress: told in a few words what is being done.

    Raises:
        AssignmentError: no right model was found for an item.
        SystemFault: we or the machine broke.
    """
    graphs = _graphs(assignment, zygote, trainer, mode, others, progress)
    found = []
    for item in assignment.trained:
        if mode not in item.recipes:
            continue
        if not graphs[item.id]:
            raise AssignmentError(f"no right submission has a model for {item.id}: add one to alternatives/")
        shared = sorted(graphs[item.id].items(), key=lambda each: -len(each[1]))[:models]
        found.append(_calibrated(item, mode, dict(shared), trainer, seeds, progress))
    return found


def _graphs(
    assignment: Assignment,
    zygote: Zygote,
    trainer: Trainer,
    mode: Mode,
    others: Mapping[str, Submission],
    progress: Callable[[str], None],
) -> dict[str, dict[Graph, list[str]]]:
    """Return for each trained item the graphs of right submissions, with the names of those."""
    right = {
        each.name: each.submission for each in find_known_submissions(load_rubric(assignment)) if not each.must_lose
    }
    found: dict[str, dict[Graph, list[str]]] = {item.id: {} for item in assignment.trained}
    for name, submission in {**right, **others}.items():
        progress(f"reading the models of {name}")
        collector = _Collector(trainer.data_set)
        trained = [item.id for item in assignment.trained]
        grade(submission, assignment, zygote, mode=mode, trainer=collector, only=trained)
        for item, attempts in collector.collected.items():
            for graph in dict.fromkeys(attempt.graph for attempt in attempts):
                found[item].setdefault(graph, []).append(name)
    return found


def _calibrated(
    item: Item,
    mode: Mode,
    graphs: Mapping[Graph, Sequence[str]],
    trainer: Trainer,
    seeds: int,
    progress: Callable[[str], None],
) -> Calibration:
    recipe = item.recipes[mode]
    # One chain for each seed, so that all cores train; a threshold that none reaches would train on, so there is none.
    every = replace(recipe, threshold=0.0)
    distributions = []
    for graph, names in graphs.items():
        chains = {f"{item.id}, seed {seed}": [TrainingJob(graph, every, seed)] for seed in range(seeds)}
        runs = trainer.train(chains, progress)
        accuracies = tuple(runs[name][0].accuracy for name in chains)
        distributions.append(Distribution(graph.key, tuple(names), accuracies))
    return Calibration(item.id, mode, recipe, tuple(distributions))


def write_thresholds(assignment: Assignment, calibrations: Sequence[Calibration]) -> Path:
    """Write thresholds, with what they rest on, into an assignment's rubric.toml; all else in it stays as it is."""
    path = assignment.folder / "rubric.toml"
    document = tomlkit.parse(path.read_text(encoding="utf-8"))
    items: Any = document["items"]
    for calibration in calibrations:
        table = next(each for each in items if each["id"] == calibration.item)["recipes"][str(calibration.mode)]
        table["threshold"] = calibration.threshold
        table["calibration"] = _basis(calibration)
    path.write_text(tomlkit.dumps(document), encoding="utf-8")
    return path


def _basis(calibration: Calibration) -> Any:
    basis = tomlkit.inline_table()
    accuracies = [value for each in calibration.distributions for value in each.accuracies]
    basis.update(
        {
            "date": datetime.datetime.now(datetime.UTC).date(),
            "torch": torch.__version__.partition("+")[0],
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "graphs": len(calibration.distributions),
            "trainings": len(accuracies),
            "mean": round(statistics.fmean(accuracies), 4),
            "lowest": round(min(accuracies), 4),
            "false_fail": float(f"{calibration.false_fail:.1e}"),
        }
    )
    return basis

"""Find the accuracy that trainings must reach: train right models with many seeds, and set the threshold below them.

Right models are those of the model solution, of the alternatives beside the rubric, and of notebooks that the caller
vouches for. Each different graph counts once. The models are read and trained exactly like those of a submission.
"""

from __future__ import annotations

import datetime
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import tomlkit
import torch

from grader.assignment import Assignment, Item
from grader.authoring.fixed_key import FIXED_KEY
from grader.authoring.verify import find_known_submissions
from grader.errors import AssignmentError
from grader.gpu.driver import Driver
from grader.grading.grade import grade
from grader.judging.loading import load_rubric
from grader.models.recipe import Mode
from grader.results.calibration import Calibration, Distribution
from grader.sandbox.host.required_layers import accept_any_layers, require_layers
from grader.sandbox.host.sandbox import Zygote
from grader.submission.submission import Submission
from grader.training.cache import TrainingJob, TrainingResult
from grader.training.graph import Graph
from grader.training.trainer import Trainer

__all__ = ["calibrate", "describe_machine", "write_thresholds"]


class _Collector(Trainer):
    """Collect the training jobs without running them."""

    collected: dict[str, list[TrainingJob]]

    def train(
        self, chains: Mapping[str, Sequence[TrainingJob]], progress: Callable[[str], None] = lambda _: None
    ) -> dict[str, list[TrainingResult]]:
        """Keep the jobs."""
        self.collected = {name: list(jobs) for name, jobs in chains.items()}
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
        assignment: an assignment with recipes.
        zygote: the warm process to fork sandboxes from.
        trainer: runs the trainings.
        mode: the recipes to calibrate, quick or full.
        seeds: the number of trainings for each graph.
        models: the number of different graphs for each item, starting with those that most submissions share.
        others: further submissions whose models are known to be right, by name.
        progress: called with a few words about the current step.

    Raises:
        AssignmentError: no right model was found for an item.
        SystemFault: the grader or the machine failed.
    """
    graphs = _collect_graphs(assignment, zygote, trainer, mode, others, progress)
    calibrations = []
    for item in assignment.trained:
        if mode not in item.recipes:
            continue
        if not graphs[item.id]:
            raise AssignmentError(f"no right submission has a model for {item.id}: add one to alternatives/")
        shared = sorted(graphs[item.id].items(), key=lambda graph: -len(graph[1]))[:models]
        calibrations.append(_calibrate_item(item, mode, dict(shared), trainer, seeds, progress))
    return calibrations


def _collect_graphs(
    assignment: Assignment,
    zygote: Zygote,
    trainer: Trainer,
    mode: Mode,
    others: Mapping[str, Submission],
    progress: Callable[[str], None],
) -> dict[str, dict[Graph, list[str]]]:
    """Return for each trained item the graphs of right submissions, with the names of these submissions."""
    known = find_known_submissions(load_rubric(assignment))
    right = {submission.name: submission.submission for submission in known if not submission.must_lose}
    graphs: dict[str, dict[Graph, list[str]]] = {item.id: {} for item in assignment.trained}
    for name, submission in {**right, **others}.items():
        progress(f"reading the models of {name}")
        collector = _Collector(trainer.data_set, gpu=trainer.gpu)
        trained = [item.id for item in assignment.trained]
        accept = accept_any_layers if name in right else require_layers
        grade(
            submission,
            assignment,
            zygote,
            key=FIXED_KEY,
            mode=mode,
            trainer=collector,
            only=trained,
            accept_layers=accept,
        )
        for item, jobs in collector.collected.items():
            for graph in dict.fromkeys(job.graph for job in jobs):
                graphs[item].setdefault(graph, []).append(name)
    return graphs


def _calibrate_item(
    item: Item,
    mode: Mode,
    graphs: Mapping[Graph, Sequence[str]],
    trainer: Trainer,
    seeds: int,
    progress: Callable[[str], None],
) -> Calibration:
    recipe = item.recipes[mode]
    # One chain for each seed, so that all cores train. Without a threshold no chain goes on to another seed.
    open_recipe = replace(recipe, threshold=0.0)
    distributions = []
    for graph, names in graphs.items():
        chains = {f"{item.id}, seed {seed}": [TrainingJob(graph, open_recipe, seed)] for seed in range(seeds)}
        runs = trainer.train(chains, progress)
        accuracies = tuple(runs[name][0].accuracy for name in chains)
        distributions.append(Distribution(graph.key, tuple(names), accuracies))
    return Calibration(item.id, mode, recipe, tuple(distributions))


def describe_machine(trainer: Trainer, driver: Driver | None) -> dict[str, Any]:
    """Return what a calibration rests on: the device of the trainings, and the versions that decide their numbers.

    Args:
        trainer: the trainer that ran them.
        driver: the driver of its GPU, if it has one.

    Raises:
        SystemFault: the GPU, or the process that trains on it, failed.
    """
    machine: dict[str, Any] = {"device": trainer.device_name, "torch": torch.__version__.partition("+")[0]}
    versions = trainer.describe()
    if versions is None:
        return {**machine, "instructions": torch.backends.cpu.get_cpu_capability()}
    machine |= {name: value for name, value in asdict(versions).items() if name != "name"}
    return {**machine, "driver": driver.version} if driver else machine


def write_thresholds(assignment: Assignment, calibrations: Sequence[Calibration], machine: Mapping[str, Any]) -> Path:
    """Write thresholds and the data behind them into an assignment's rubric.toml, and change nothing else in it.

    Args:
        assignment: the assignment.
        calibrations: what `calibrate` found.
        machine: what `describe_machine` returns.
    """
    path = assignment.folder / "rubric.toml"
    document = tomlkit.parse(path.read_text(encoding="utf-8"))
    items: Any = document["items"]
    for calibration in calibrations:
        table = next(item for item in items if item["id"] == calibration.item)["recipes"][str(calibration.mode)]
        table["threshold"] = calibration.threshold
        table["calibration"] = _describe_basis(calibration, machine)
    path.write_text(tomlkit.dumps(document), encoding="utf-8")
    return path


def _describe_basis(calibration: Calibration, machine: Mapping[str, Any]) -> Any:
    basis = tomlkit.inline_table()
    accuracies = [value for distribution in calibration.distributions for value in distribution.accuracies]
    basis.update(
        {
            "date": datetime.datetime.now(datetime.UTC).date(),
            **machine,
            "graphs": len(calibration.distributions),
            "trainings": len(accuracies),
            "mean": round(statistics.fmean(accuracies), 4),
            "lowest": round(min(accuracies), 4),
            "false_fail": float(f"{calibration.false_fail:.1e}"),
        }
    )
    return basis

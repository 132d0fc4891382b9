"""Verdicts on items that are earned by training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from grader.assignment import Item
from grader.judging.item_evaluation import ItemEvaluation
from grader.judging.training_advice import add_training_advice
from grader.models.recipe import Mode, Recipe
from grader.results.report import ItemResult, Verdict
from grader.student import Work
from grader.testing.failures import ToTrain, TrainedInPlace
from grader.training.cache import TrainingJob, TrainingResult
from grader.training.trainer import Trainer

__all__ = ["resolve_trainings"]

_BY_GRADER = "trained by the grader from the model's graph"
_IN_STUDENTS_PROCESS = "weaker: trained in the notebook's own process"


@dataclass(frozen=True)
class _Queue:
    """The training jobs of an item, in order, and the evaluation that each of them comes from."""

    recipe: Recipe
    jobs: tuple[TrainingJob, ...]
    evaluations: tuple[ItemEvaluation, ...]


def resolve_trainings(
    waiting: Mapping[Item, Sequence[ItemEvaluation]],
    results: Mapping[str, ItemResult],
    mode: Mode,
    trainer: Trainer,
    work: Work,
    progress: Callable[[str], None],
) -> dict[str, ItemResult]:
    """Train the models that wait for it, and return the results of their items.

    Args:
        waiting: the items that are earned by training, with their evaluations.
        results: the results without trainings, by the item's id.
        mode: how items that are earned by training are judged.
        trainer: trains the models.
        work: the submission, for advice on its own training loops.
        progress: called with a short description of how far the trainings are.

    Raises:
        SystemFault: a training process failed.
    """
    items = {item.id: item for item in waiting}
    queues = {
        item.id: _queue(item.recipes[mode], evaluations)
        for item, evaluations in waiting.items()
        if mode in item.recipes
    }
    queues = {name: queue for name, queue in queues.items() if queue.jobs}
    trained = trainer.train({name: queue.jobs for name, queue in queues.items()}, progress)
    resolved: dict[str, ItemResult] = {}
    for name, item in items.items():
        result = results[name]
        if name in trained:
            result = _decide_by_grader(result, queues[name], trained[name])
        if result.verdict is not Verdict.PASSED:
            result = _decide_by_own_process(result, item, waiting[item], mode)
        result = replace(result, evidence=_add_mode(result.evidence, item, mode))
        resolved[name] = add_training_advice(result, item, waiting[item], work, trainer.data_set, mode)
    return resolved


def _queue(recipe: Recipe, evaluations: Sequence[ItemEvaluation]) -> _Queue:
    """Queue each different model once: the textbook's first, then the student's, the latest first."""
    models: dict[str, tuple[ToTrain, ItemEvaluation]] = {}
    for evaluation in reversed(evaluations):
        if isinstance(evaluation.pending, ToTrain):
            models.setdefault(evaluation.pending.graph.key, (evaluation.pending, evaluation))
    ordered = sorted(models.values(), key=lambda model: bool(model[0].departs))
    pairs = [
        (TrainingJob(pending.graph, recipe, seed), evaluation)
        for pending, evaluation in ordered
        for seed in range(recipe.seeds)
    ]
    return _Queue(recipe, tuple(job for job, _ in pairs), tuple(evaluation for _, evaluation in pairs))


def _decide_by_grader(result: ItemResult, queue: _Queue, trained: Sequence[TrainingResult]) -> ItemResult:
    best = max(range(len(trained)), key=lambda number: trained[number].accuracy)
    evaluation, graph = queue.evaluations[best], queue.jobs[best].graph
    pending = evaluation.pending
    assert isinstance(pending, ToTrain)
    of_best = [run for run, job in zip(trained, queue.jobs, strict=False) if job.graph.key == graph.key]
    remarks = [f"it is not the book's model: {pending.departs}"] if pending.departs else []
    return _decide(result, evaluation, queue.recipe, of_best, _BY_GRADER, remarks)


def _decide_by_own_process(
    result: ItemResult, item: Item, evaluations: Sequence[ItemEvaluation], mode: Mode
) -> ItemResult:
    trained = [
        (evaluation.pending, evaluation) for evaluation in evaluations if isinstance(evaluation.pending, TrainedInPlace)
    ]
    if not trained or mode not in item.recipes:
        return result
    pending, evaluation = max(trained, key=lambda pair: max(run.accuracy for run in pair[0].runs))
    remarks = [f"this is weaker evidence, because it was trained in the notebook's own process: {pending.why}"]
    recipe = replace(item.recipes[mode], threshold=pending.threshold)
    return _decide(result, evaluation, recipe, pending.runs, _IN_STUDENTS_PROCESS, remarks)


def _decide(
    result: ItemResult,
    evaluation: ItemEvaluation,
    recipe: Recipe,
    runs: Sequence[TrainingResult],
    evidence: str,
    remarks: Sequence[str],
) -> ItemResult:
    """Return the result with the verdict of the best of some runs."""
    best = max(run.accuracy for run in runs)
    passed = best >= recipe.threshold
    share = f"{best:.1%} of {recipe.judged:,} withheld images (threshold {recipe.threshold:.0%})"
    if passed:
        message = f"right on {share}"
    elif all(not run.finite for run in runs):
        message = f"the training diverges: its loss is no number any more, {len(runs)} of {len(runs)} times"
    else:
        times = f"the best of {len(runs)} trainings" if len(runs) > 1 else "one training"
        message = f"does not learn: right on {share}, {times}"
    definition = evaluation.state.definition
    return replace(
        result,
        points=result.max_points if passed else 0,
        verdict=Verdict.PASSED if passed else Verdict.FAILED,
        message="; ".join([message, *remarks]),
        file=definition.file if definition else None,
        cell=definition.cell if definition else None,
        evidence={
            "training": {**_describe(recipe), "evidence": evidence, "runs": [_to_curve(run) for run in runs]},
        },
    )


def _describe(recipe: Recipe) -> dict[str, Any]:
    return {"recipe": str(recipe), "threshold": recipe.threshold, "judged": recipe.judged}


def _to_curve(run: TrainingResult) -> dict[str, Any]:
    return {
        "seed": run.seed,
        "accuracy": run.accuracy,
        "epochs": [point.epoch for point in run.points],
        "loss": [point.loss for point in run.points],
        "accuracy_by_epoch": [point.accuracy for point in run.points],
    }


def _add_mode(evidence: Mapping[str, Any], item: Item, mode: Mode) -> dict[str, Any]:
    shown = dict(evidence.get("training", {}))
    if not shown and mode in item.recipes:
        shown = {**_describe(item.recipes[mode]), "evidence": "", "runs": []}
    return {**evidence, "training": {"mode": str(mode), **shown}} if shown else dict(evidence)

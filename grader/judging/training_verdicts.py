"""Verdicts on items that are earned by training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from grader.assignment import Item
from grader.judging.item_evaluation import ItemEvaluation
from grader.judging.item_places import ItemPlaces
from grader.judging.own_loops import charge_own_loops
from grader.judging.training_advice import add_training_advice, find_own_trainings
from grader.models.recipe import Mode, OwnLoop, Recipe
from grader.results.report import ItemResult, Verdict
from grader.student import Work
from grader.testing.failures import REMEDY, ToTrain, TrainedInPlace
from grader.testing.learning import Training
from grader.training.cache import TrainingJob, TrainingResult
from grader.training.trainer import Trainer

__all__ = ["ThresholdBasis", "resolve_trainings"]

_BY_GRADER = "trained by the grader from the model's graph"
_IN_STUDENTS_PROCESS = "advice only: trained in the notebook's own process"


class ThresholdBasis(StrEnum):
    """What a threshold rests on."""

    CALIBRATION = "calibration"  # trainings of right models on such a device
    OTHER_DEVICE = "calibration on another device"  # on a GPU if this is a CPU, or the other way round
    PLACEHOLDER = "placeholder"  # no trainings


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
    trainings: Mapping[str, Training],
    places: ItemPlaces,
    own_loop: OwnLoop = OwnLoop.ADVICE,
) -> dict[str, ItemResult]:
    """Train the models that wait for it, and return the results of their items.

    Args:
        waiting: the items that are earned by training, with their evaluations.
        results: the results without trainings, by the item's id.
        mode: how items that are earned by training are judged.
        trainer: trains the models.
        work: the submission, for advice on its own training loops.
        progress: called with a short description of how far the trainings are.
        trainings: how each item's models are trained, by the item's id.
        places: where the items stand.
        own_loop: what the notebook's own loops cost if they are certainly wrong.

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
    device = trainer.device_name
    trained = trainer.train({name: queue.jobs for name, queue in queues.items()}, progress)
    resolved: dict[str, ItemResult] = {}
    for name, item in items.items():
        result = results[name]
        if name in trained:
            result = _decide_by_grader(result, item, queues[name], trained[name], places, device)
        if result.verdict is not Verdict.PASSED:
            result = _decide_by_own_process(result, item, waiting[item], mode, places, device)
        result = replace(result, evidence=_add_mode(result.evidence, item, mode, device))
        secret = trainings[name].judged_secret
        result = add_training_advice(result, item, waiting[item], work, trainer.data_set, mode, secret)
        resolved[name] = charge_own_loops(result, find_own_trainings(item, waiting[item], work), own_loop)
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


def _decide_by_grader(
    result: ItemResult, item: Item, queue: _Queue, trained: Sequence[TrainingResult], places: ItemPlaces, device: str
) -> ItemResult:
    best = max(range(len(trained)), key=lambda number: trained[number].accuracy)
    evaluation, graph = queue.evaluations[best], queue.jobs[best].graph
    pending = evaluation.pending
    assert isinstance(pending, ToTrain)
    of_best = [run for run, job in zip(trained, queue.jobs, strict=False) if job.graph.key == graph.key]
    remarks = [f"it is not the book's model: {pending.departs}"] if pending.departs else []
    decided = _decide(result, queue.recipe, of_best, _BY_GRADER, remarks, device)
    return decided.stand_at(places.find_item(item, evaluation.state))


def _decide_by_own_process(
    result: ItemResult, item: Item, evaluations: Sequence[ItemEvaluation], mode: Mode, places: ItemPlaces, device: str
) -> ItemResult:
    trained = [
        (evaluation.pending, evaluation) for evaluation in evaluations if isinstance(evaluation.pending, TrainedInPlace)
    ]
    if not trained or mode not in item.recipes:
        return result
    pending, evaluation = max(trained, key=lambda pair: max(run.accuracy for run in pair[0].runs))
    recipe = replace(item.recipes[mode], threshold=pending.threshold)
    decided = _decide(result, recipe, pending.runs, _IN_STUDENTS_PROCESS, [], device)
    decided = decided.stand_at(places.find_item(item, evaluation.state))
    if decided.verdict is not Verdict.PASSED:
        return replace(decided, message=f"{decided.message}; it was trained in the notebook's process: {pending.why}")
    message = (
        f"a person decides, because the grader cannot train this model itself: {pending.why}; trained in the "
        f"notebook's process, which can claim anything, it is {decided.message}; {REMEDY}"
    )
    evidence = {**decided.evidence, "awaits_person": message}
    return replace(decided, points=0, verdict=Verdict.PENDING, message=message, evidence=evidence)


def _decide(
    result: ItemResult,
    recipe: Recipe,
    runs: Sequence[TrainingResult],
    evidence: str,
    remarks: Sequence[str],
    device: str,
) -> ItemResult:
    """Return the result with the verdict of the best of some runs, trained on `device`."""
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
    return replace(
        result,
        points=result.max_points if passed else 0,
        verdict=Verdict.PASSED if passed else Verdict.FAILED,
        message="; ".join([message, *remarks, *_warn_of_threshold(recipe, device)]),
        evidence={
            "training": {**_describe(recipe, device), "evidence": evidence, "runs": [_to_curve(run) for run in runs]},
        },
    )


def _describe(recipe: Recipe, device: str) -> dict[str, Any]:
    return {
        "recipe": str(recipe),
        "threshold": recipe.threshold,
        "threshold_basis": str(_find_basis(recipe, device)),
        "judged": recipe.judged,
        "device": device,
    }


def _find_basis(recipe: Recipe, device: str) -> ThresholdBasis:
    if not recipe.calibrated_on:
        return ThresholdBasis.PLACEHOLDER
    same = (recipe.calibrated_on == "cpu") == (device == "cpu")
    return ThresholdBasis.CALIBRATION if same else ThresholdBasis.OTHER_DEVICE


def _warn_of_threshold(recipe: Recipe, device: str) -> Sequence[str]:
    """Return what a reader must know of a threshold that does not rest on trainings like this one."""
    match _find_basis(recipe, device):
        case ThresholdBasis.PLACEHOLDER:
            return [
                "the threshold is a placeholder: it was not measured yet what right models reach in this training, so "
                "your teacher checks this result"
            ]
        case ThresholdBasis.OTHER_DEVICE:
            places = [name if name != "cpu" else "a CPU" for name in (recipe.calibrated_on, device)]
            return [
                f"the threshold was measured on {places[0]}, and this training ran on {places[1]}, where right models "
                "may reach a little more or less"
            ]
    return []


def _to_curve(run: TrainingResult) -> dict[str, Any]:
    return {
        "seed": run.seed,
        "accuracy": run.accuracy,
        "epochs": [point.epoch for point in run.points],
        "loss": [point.loss for point in run.points],
        "accuracy_by_epoch": [point.accuracy for point in run.points],
    }


def _add_mode(evidence: Mapping[str, Any], item: Item, mode: Mode, device: str) -> dict[str, Any]:
    shown = dict(evidence.get("training", {}))
    if not shown and mode in item.recipes:
        shown = {**_describe(item.recipes[mode], device), "evidence": "", "runs": []}
    return {**evidence, "training": {"mode": str(mode), **shown}} if shown else dict(evidence)

"""Verdicts on items that are earned by training: what trainings came to, beside what the student's own loop showed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from grader.assignment import Item
from grader.judging.evaluations import ItemEvaluation
from grader.judging.training_advice import add_training_advice
from grader.models.recipe import Mode, Recipe
from grader.results.report import ItemResult, Verdict
from grader.student import Work
from grader.testing.failures import ToTrain, TrainedInPlace
from grader.training.cache import TrainingJob, TrainingResult
from grader.training.trainer import Trainer

__all__ = ["resolve_trainings"]

_OURS = "trained by the grader from the model's graph"
_THEIRS = "weaker: trained in the notebook's own process"


@dataclass(frozen=True)
class _Waiting:
    """An item whose models are to be trained: the attempts in order, and the state that each is from."""

    recipe: Recipe
    attempts: tuple[TrainingJob, ...]
    trials: tuple[ItemEvaluation, ...]


def resolve_trainings(
    waiting: Mapping[Item, Sequence[ItemEvaluation]],
    results: Mapping[str, ItemResult],
    mode: Mode,
    trainer: Trainer,
    work: Work,
    progress: Callable[[str], None],
) -> dict[str, ItemResult]:
    """Train what waits for it, and return the results of these items.

    Args:
        waiting: the items that are earned by training, with what was tried.
        results: by the item's id, what is known without trainings.
        mode: what is done with trainings.
        trainer: what trains.
        work: the submission, whose own training loops are shown beside.
        progress: told in a few words how far it is.

    Raises:
        SystemFault: a process that trains broke.
    """
    items = {item.id: item for item in waiting}
    chains = {item.id: _waiting(item.recipes[mode], trials) for item, trials in waiting.items() if mode in item.recipes}
    chains = {name: chain for name, chain in chains.items() if chain.attempts}
    ran = trainer.train({name: chain.attempts for name, chain in chains.items()}, progress)
    found: dict[str, ItemResult] = {}
    for name, item in items.items():
        result = results[name]
        if name in ran:
            result = _from_runs(result, chains[name], ran[name])
        if result.verdict is not Verdict.PASSED:
            result = _from_their_process(result, item, waiting[item], mode)
        result = replace(result, evidence=_with_mode(result.evidence, item, mode))
        found[name] = add_training_advice(result, item, waiting[item], work, trainer.data_set, mode)
    return found


def _waiting(recipe: Recipe, trials: Sequence[ItemEvaluation]) -> _Waiting:
    """Return each model once: the textbook's first, then in the order in which the student left them last."""
    seen: dict[str, tuple[ToTrain, ItemEvaluation]] = {}
    for trial in reversed(trials):
        if isinstance(trial.pending, ToTrain):
            seen.setdefault(trial.pending.graph.key, (trial.pending, trial))
    ordered = sorted(seen.values(), key=lambda each: bool(each[0].departs))
    pairs = [(TrainingJob(each.graph, recipe, seed), trial) for each, trial in ordered for seed in range(recipe.seeds)]
    return _Waiting(recipe, tuple(attempt for attempt, _ in pairs), tuple(trial for _, trial in pairs))


def _from_runs(result: ItemResult, chain: _Waiting, runs: Sequence[TrainingResult]) -> ItemResult:
    best = max(range(len(runs)), key=lambda number: runs[number].accuracy)
    trial, graph = chain.trials[best], chain.attempts[best].graph
    pending = trial.pending
    assert isinstance(pending, ToTrain)
    same = [run for run, attempt in zip(runs, chain.attempts, strict=False) if attempt.graph.key == graph.key]
    remarks = [f"it is not the book's model: {pending.departs}"] if pending.departs else []
    return _result(result, trial, chain.recipe, same, _OURS, remarks)


def _from_their_process(result: ItemResult, item: Item, trials: Sequence[ItemEvaluation], mode: Mode) -> ItemResult:
    learned = [(trial.pending, trial) for trial in trials if isinstance(trial.pending, TrainedInPlace)]
    if not learned or mode not in item.recipes:
        return result
    pending, trial = max(learned, key=lambda each: max(run.accuracy for run in each[0].runs))
    remarks = [f"this is weaker evidence, because it was trained in the notebook's own process: {pending.why}"]
    recipe = replace(item.recipes[mode], threshold=pending.threshold)
    return _result(result, trial, recipe, pending.runs, _THEIRS, remarks)


def _result(
    result: ItemResult,
    trial: ItemEvaluation,
    recipe: Recipe,
    runs: Sequence[TrainingResult],
    evidence: str,
    remarks: Sequence[str],
) -> ItemResult:
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
    definition = trial.opening.definition
    return replace(
        result,
        points=result.max_points if passed else 0,
        verdict=Verdict.PASSED if passed else Verdict.FAILED,
        message="; ".join([message, *remarks]),
        file=definition.file if definition else None,
        cell=definition.cell if definition else None,
        evidence={"training": {**_told(recipe), "evidence": evidence, "runs": [_curve(run) for run in runs]}},
    )


def _told(recipe: Recipe) -> dict[str, Any]:
    return {"recipe": str(recipe), "threshold": recipe.threshold, "judged": recipe.judged}


def _curve(run: TrainingResult) -> dict[str, Any]:
    return {
        "seed": run.seed,
        "accuracy": run.accuracy,
        "epochs": [point.epoch for point in run.points],
        "loss": [point.loss for point in run.points],
        "accuracy_by_epoch": [point.accuracy for point in run.points],
    }


def _with_mode(evidence: Mapping[str, Any], item: Item, mode: Mode) -> dict[str, Any]:
    shown = dict(evidence.get("training", {}))
    if not shown and mode in item.recipes:
        shown = {**_told(item.recipes[mode]), "evidence": "", "runs": []}
    return {**evidence, "training": {"mode": str(mode), **shown}} if shown else dict(evidence)

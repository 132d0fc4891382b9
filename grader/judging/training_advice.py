"""Advice from the student's own training loops: not evidence, because it is a claim of the student's process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from grader.assignment import Item
from grader.judging.item_evaluation import ItemEvaluation
from grader.models.recipe import Mode
from grader.results.report import ItemResult
from grader.student import OwnTraining, StudentFault, Work
from grader.testing.failures import ToTrain
from grader.training.datasets import DataSet
from grader.training.perturbation import draw_judged_images

__all__ = ["add_training_advice", "describe_finding", "find_own_trainings"]

_MOST = 4  # loops shown for an item
_JUDGED = 2000  # images
_SECONDS = 120  # for a trained model to predict


def add_training_advice(
    result: ItemResult,
    item: Item,
    evaluations: Sequence[ItemEvaluation],
    work: Work,
    data_set: DataSet,
    mode: Mode,
    secret: int,
) -> ItemResult:
    """Add to a result what the notebook's own trainings of that item's model showed.

    If they ran as written, add the trained model's accuracy on withheld, slightly changed images, drawn by `secret`.
    """
    trainings = find_own_trainings(item, evaluations, work)[-_MOST:]
    if not trainings:
        return result
    shown = [_show(training, work, data_set, mode, secret) for training in trainings]
    findings = dict(finding for training in trainings for finding in training.findings)
    advice = [describe_finding(text) for text in findings.values()]
    reached = [f"as written it reached {entry['reached']}" for entry in shown if "reached" in entry]
    evidence = {**result.evidence.get("training", {"mode": str(mode)}), "own": shown}
    return replace(
        result,
        message="; ".join([result.message, *reached, *advice]),
        evidence={**result.evidence, "training": evidence},
    )


def find_own_trainings(item: Item, evaluations: Sequence[ItemEvaluation], work: Work) -> list[OwnTraining]:
    """Return the trainings of an item's model by the notebook's own loops, in order."""
    return [training for training in work.trainings() if _trains(training, item, evaluations)]


def describe_finding(text: str) -> str:
    """Return what a message says of a mistake in a training loop."""
    return f"in your own training loop: {text}"


def _trains(training: OwnTraining, item: Item, evaluations: Sequence[ItemEvaluation]) -> bool:
    """Tell whether a loop trained the item's model, by the name of its class or else by its number of parameters."""
    names = {*item.names[:1], *(evaluation.state.found_as for evaluation in evaluations)}
    pending = [evaluation.pending for evaluation in evaluations if isinstance(evaluation.pending, ToTrain)]
    return training.model in names or any(training.parameters in reason.numbers for reason in pending)


def _show(training: OwnTraining, work: Work, data_set: DataSet, mode: Mode, secret: int) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "file": training.file,
        "cell": training.cell,
        "optimizer": training.optimizer,
        "lr": training.lr,
        "steps": training.steps,
        "epochs": training.epochs,
        "ended": training.ended,
        "findings": [{"id": name, "text": text} for name, text in training.findings],
        "losses": list(training.losses),
    }
    if mode is Mode.FULL and (accuracy := _measure_accuracy(training, work, data_set, secret)) is not None:
        planned = f" of {training.planned_epochs}" if training.planned_epochs else ""
        after = f" after {training.epochs}{planned} epochs" if training.epochs is not None else ""
        shown |= {"accuracy": accuracy, "reached": f"{accuracy:.2f}{after}"}
    return shown


def _measure_accuracy(training: OwnTraining, work: Work, data_set: DataSet, secret: int) -> float | None:
    """Return the accuracy of the model that the notebook trained. Return None if the model does not respond."""
    images, truth = draw_judged_images(data_set, _JUDGED, secret)
    try:
        with work.trained(training, _SECONDS) as model:
            classes = model.predict_classes(images[:, None], training)
    except StudentFault:
        return None
    return float((classes == truth).double().mean())

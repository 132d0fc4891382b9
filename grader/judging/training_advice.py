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
from grader.training.perturbation import perturb

__all__ = ["add_training_advice"]

_MOST = 4  # loops shown for an item
_JUDGED = 2000  # images
_SEED = 0
_SECONDS = 120  # for a trained model to predict


def add_training_advice(
    result: ItemResult, item: Item, evaluations: Sequence[ItemEvaluation], work: Work, data_set: DataSet, mode: Mode
) -> ItemResult:
    """Add to a result what the notebook's own trainings of that item's model showed.

    If they ran as written, add the trained model's accuracy on withheld, slightly changed images.
    """
    trainings = [training for training in work.trainings() if _trains(training, item, evaluations)][-_MOST:]
    if not trainings:
        return result
    shown = [_show(training, work, data_set, mode) for training in trainings]
    findings = dict(finding for training in trainings for finding in training.findings)
    advice = [f"in your own training loop: {text}" for text in findings.values()]
    reached = [f"as written it reached {entry['reached']}" for entry in shown if "reached" in entry]
    evidence = {**result.evidence.get("training", {"mode": str(mode)}), "own": shown}
    return replace(
        result,
        message="; ".join([result.message, *reached, *advice]),
        evidence={**result.evidence, "training": evidence},
    )


def _trains(training: OwnTraining, item: Item, evaluations: Sequence[ItemEvaluation]) -> bool:
    """Tell whether a loop trained the item's model, by the name of its class or else by its number of parameters."""
    names = {*item.names[:1], *(evaluation.state.found_as for evaluation in evaluations)}
    pending = [evaluation.pending for evaluation in evaluations if isinstance(evaluation.pending, ToTrain)]
    return training.model in names or any(training.parameters in reason.numbers for reason in pending)


def _show(training: OwnTraining, work: Work, data_set: DataSet, mode: Mode) -> dict[str, Any]:
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
    if mode is Mode.FULL and (accuracy := _measure_accuracy(training, work, data_set)) is not None:
        planned = f" of {training.planned_epochs}" if training.planned_epochs else ""
        after = f" after {training.epochs}{planned} epochs" if training.epochs is not None else ""
        shown |= {"accuracy": accuracy, "reached": f"{accuracy:.2f}{after}"}
    return shown


def _measure_accuracy(training: OwnTraining, work: Work, data_set: DataSet) -> float | None:
    """Return the accuracy of the model that the notebook trained. Return None if the model does not respond."""
    images = perturb(data_set.withheld_images[:_JUDGED], _SEED)
    try:
        with work.trained(training, _SECONDS) as model:
            classes = model.predict_classes(images[:, None], training)
    except StudentFault:
        return None
    return float((classes == data_set.withheld_labels[:_JUDGED]).double().mean())

"""What a student's own training loops showed, beside the verdict: advice, for it comes from the student's process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from grader.assignment import Item
from grader.judging.evaluations import ItemEvaluation
from grader.models.recipe import Mode
from grader.results.report import ItemResult
from grader.student import OwnTraining, StudentFault, Work
from grader.testing.failures import ToTrain
from grader.training.datasets import DataSet
from grader.training.perturbation import perturb

__all__ = ["add_training_advice"]

_MOST = 4  # loops shown for an item
_JUDGED = 2000
_SEED = 0
_SECONDS = 120  # for a trained model's answers


def add_training_advice(
    result: ItemResult, item: Item, trials: Sequence[ItemEvaluation], work: Work, data_set: DataSet, mode: Mode
) -> ItemResult:
    """Return a result with what was seen of the notebook's own trainings of that item's model.

    Where they ran as written, the accuracy of the trained model on withheld, slightly changed images stands beside it.
    """
    mine = [training for training in work.trainings() if _is_of(training, item, trials)][-_MOST:]
    if not mine:
        return result
    shown = [_shown(training, work, data_set, mode) for training in mine]
    findings = dict(finding for training in mine for finding in training.findings)
    said = [f"in your own training loop: {text}" for text in findings.values()]
    reached = [f"as written it reached {each['reached']}" for each in shown if "reached" in each]
    training = {**result.evidence.get("training", {"mode": str(mode)}), "own": shown}
    return replace(
        result,
        message="; ".join([result.message, *reached, *said]),
        evidence={**result.evidence, "training": training},
    )


def _is_of(training: OwnTraining, item: Item, trials: Sequence[ItemEvaluation]) -> bool:
    """Tell whether a loop trained the item's model: by the name of its class, else by how many numbers it has."""
    names = {*item.names[:1], *(trial.opening.found_as for trial in trials)}
    numbers = {number for trial in trials if isinstance(trial.pending, ToTrain) for number in trial.pending.numbers}
    return training.model in names or training.parameters in numbers


def _shown(training: OwnTraining, work: Work, data_set: DataSet, mode: Mode) -> dict[str, Any]:
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
    if mode is Mode.FULL and (accuracy := _accuracy(training, work, data_set)) is not None:
        planned = f" of {training.planned_epochs}" if training.planned_epochs else ""
        after = f" after {training.epochs}{planned} epochs" if training.epochs is not None else ""
        shown |= {"accuracy": accuracy, "reached": f"{accuracy:.2f}{after}"}
    return shown


def _accuracy(training: OwnTraining, work: Work, data_set: DataSet) -> float | None:
    """Return what the model that the notebook trained reaches, None where it does not answer."""
    images = perturb(data_set.withheld_images[:_JUDGED], _SEED)
    try:
        with work.trained(training, _SECONDS) as model:
            classes = model.answers(images[:, None], training)
    except StudentFault:
        return None
    return float((classes == data_set.withheld_labels[:_JUDGED]).double().mean())

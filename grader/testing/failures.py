"""Exceptions that a rubric's test raises about a student's work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grader.results.evidence import to_plain_json

if TYPE_CHECKING:
    from grader.training.cache import TrainingResult
    from grader.training.graph import Graph

__all__ = [
    "REMEDY",
    "Absent",
    "Mismatch",
    "NeedsPerson",
    "NoModel",
    "Overtime",
    "Pending",
    "ToTrain",
    "TrainedInPlace",
    "Unmeasured",
]

# What to do about a model that no graph describes.
REMEDY = (
    "to be judged without waiting, take out of the model's forward pass what computes outside of PyTorch or depends on "
    "numbers (.item(), float(), .numpy(), if), and what is drawn at random, and keep all weights in layers or "
    "nn.Parameter"
)


class Absent(Exception):
    """The item is not in the submission. The student sees the reason.

    Args:
        message: the reason.
        file, cell: where it was begun, if it was.
        begun_as: the name of what was begun there. If a cell that uses it raised, the item counts as failed.
        bound: the name that is bound there, "_" for a value that the cell displays; else that of `begun_as`.
    """

    def __init__(
        self, message: str, *, file: str | None = None, cell: int | None = None, begun_as: str = "", bound: str = ""
    ) -> None:
        super().__init__(message)
        self.file = file
        self.cell = cell
        self.begun_as = begun_as
        self.bound = bound or begun_as


class Overtime(BaseException):
    """A test computed for too long. Not an Exception, so that no `except Exception` of the test catches it."""


class Pending(Exception):
    """The item is in the submission, and its verdict waits. The student sees the reason."""


class ToTrain(Pending):
    """A model waits to be trained by the grader.

    Args:
        graph: the model.
        departs: how it departs from the textbook's model, or "".
        numbers: its numbers of learnable parameters, for images of the recipe's size and of the textbook's.
    """

    def __init__(self, graph: Graph, departs: str, numbers: frozenset[int]) -> None:
        super().__init__("waits for its training")
        self.graph = graph
        self.departs = departs
        self.numbers = numbers


class NeedsPerson(Pending):
    """The grader cannot decide the item, so a person marks it. The student sees the reason."""


class TrainedInPlace(NeedsPerson):
    """A model was trained in the student's process, which is advice for the person who decides.

    Args:
        runs: the results of its trainings.
        threshold: the accuracy that right models reach.
        why: why the grader could not train it.
    """

    def __init__(self, runs: tuple[TrainingResult, ...], threshold: float, why: str) -> None:
        super().__init__("was trained in the notebook's own process")
        self.runs = runs
        self.threshold = threshold
        self.why = why


class Unmeasured(NeedsPerson):
    """What is right is only what the student's process says, and a person decides whether it is so."""


class Mismatch(AssertionError):
    """The student's work is wrong.

    Args:
        message: one sentence that a student understands.
        file, cell: where the mistake was seen, for items that are judged by recorded values.
        bound: the name that is bound there, "_" for a value that the cell displays.
        gist: the part of the message that the student sees even if another item is the cause.
        evidence: values to show beside the message, such as `expected` and `found`, stored as plain JSON.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        cell: int | None = None,
        bound: str = "",
        gist: str = "",
        **evidence: Any,
    ) -> None:
        super().__init__(message)
        self.gist = gist
        self.file = file
        self.cell = cell
        self.bound = bound
        self.evidence = {name: to_plain_json(value) for name, value in evidence.items()}


class NoModel(Mismatch):
    """What should be an nn.Module, or give one, is and does something else."""

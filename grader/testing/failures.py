"""What a rubric's test raises when it is not satisfied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grader.results.evidence import to_plain_json

if TYPE_CHECKING:
    from grader.training.cache import TrainingResult
    from grader.training.graph import Graph

__all__ = ["Absent", "Mismatch", "Pending", "ToTrain", "TrainedInPlace"]


class Absent(Exception):
    """What the item asks for is not in the submission; the reason is shown to the student."""


class Pending(Exception):
    """What the item asks for is there and is not decided; the reason is shown to the student."""


class ToTrain(Pending):
    """A model to be trained on our side.

    Args:
        graph: the model.
        departs: where it is not the textbook's, "" where it is.
        numbers: how many learnable numbers it has, for images of the recipe's size and of the textbook's.
    """

    def __init__(self, graph: Graph, departs: str, numbers: frozenset[int]) -> None:
        super().__init__("waits for its training")
        self.graph = graph
        self.departs = departs
        self.numbers = numbers


class TrainedInPlace(Pending):
    """A model that was trained in the student's process.

    Args:
        runs: what came of it, the last of which decides.
        threshold: the accuracy to reach.
        why: it could not be trained on our side.
    """

    def __init__(self, runs: tuple[TrainingResult, ...], threshold: float, why: str) -> None:
        super().__init__("was trained in the notebook's own process")
        self.runs = runs
        self.threshold = threshold
        self.why = why


class Mismatch(AssertionError):
    """The student's work is present and wrong.

    Args:
        message: one sentence that a student understands.
        file, cell: where it was seen, for items that are judged by recorded values.
        evidence: what to show beside it, such as `expected` and `found`; kept as plain JSON values.
    """

    def __init__(self, message: str, *, file: str | None = None, cell: int | None = None, **evidence: Any) -> None:
        super().__init__(message)
        self.file = file
        self.cell = cell
        self.evidence = {name: to_plain_json(value) for name, value in evidence.items()}

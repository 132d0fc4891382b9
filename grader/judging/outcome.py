"""What one rubric test came to: raised by a test, turned into an `Outcome`, never anything else's business."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from grader.results.report import Verdict
from grader.student import Fault, StudentFault

if TYPE_CHECKING:
    from grader.testing.cases import Case
    from grader.training.cache import Run
    from grader.training.graph import Graph

__all__ = [
    "Absent", "Learned", "Mismatch", "Outcome", "Pending", "ToTrain", "WrongCases",
    "case_evidence", "outcome_of", "plain",
]  # fmt: skip

ENTRIES = 64  # a tensor with more is evidence nobody reads
NODES = 500  # of one piece of evidence, tensors' entries apart
PLACES = 4
LENGTH = 500  # of a message, which may hold what the student's code said


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


class Learned(Pending):
    """A model that was trained in the student's process.

    Args:
        runs: what came of it, the last of which decides.
        threshold: the accuracy to reach.
        why: it could not be trained on our side.
    """

    def __init__(self, runs: tuple[Run, ...], threshold: float, why: str) -> None:
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
        self.evidence = {name: plain(value) for name, value in evidence.items()}


class WrongCases(Exception):
    """Some cases of `given` went wrong: the first of them, and how many were right."""

    def __init__(self, first: Exception, case: Case, right: int, total: int) -> None:
        super().__init__(f"{total - right} of {total} cases")
        self.first = first
        self.case = case
        self.right = right
        self.total = total


@dataclass(frozen=True)
class Outcome:
    """What one test came to; `right` of `total` cases were right (a test without cases counts as one).

    `misconception` is the id of the known mistake that answers as the student's work does, `remarks` is what a test has
    to say that costs nothing, `pending` what a training is to decide, or has.
    """

    verdict: Verdict
    message: str = ""
    right: int = 0
    total: int = 1
    evidence: Mapping[str, Any] = field(default_factory=dict)
    file: str | None = None
    cell: int | None = None
    misconception: str | None = None
    remarks: tuple[str, ...] = ()
    pending: Pending | None = field(default=None, compare=False)


def outcome_of(error: Exception, visible: bool) -> Outcome | None:
    """Return what an exception says about the student's work, None where it is the rubric's own fault.

    Where the item is not `visible`, neither message nor evidence shows inputs, expected values or what the student's
    code said about them.
    """
    if isinstance(error, Absent):
        return Outcome(Verdict.ABSENT, str(error))
    if isinstance(error, Pending):
        return Outcome(Verdict.PENDING, _clip(str(error)), pending=error)
    right, total = (error.right, error.total) if isinstance(error, WrongCases) else (0, 1)
    first = error.first if isinstance(error, WrongCases) else error
    if not isinstance(first, (AssertionError, StudentFault)):
        return None
    fault = first.fault if isinstance(first, StudentFault) else None
    if fault is Fault.MISSING:
        return Outcome(Verdict.ABSENT, str(first))
    verdict = Verdict.FAILED if fault in (None, Fault.CHANGED_ARGUMENT) else Verdict.ERROR
    if not visible:
        return Outcome(verdict, _hidden_message(fault, right, total), right, total)
    message = str(first) or "is not right"
    evidence = dict(first.evidence) if isinstance(first, Mismatch) else {}
    if isinstance(error, WrongCases):
        message = f"wrong in {total - right} of {total} cases, first with {error.case.description}: {message}"
        evidence.update(case_evidence(error.case), cases={"right": right, "total": total})
    file, cell = (first.file, first.cell) if isinstance(first, Mismatch) else (None, None)
    return Outcome(verdict, _clip(message), right, total, evidence, file, cell)


def case_evidence(case: Case) -> dict[str, Any]:
    """Return a case's description and inputs as evidence."""
    return {"case": case.description, "inputs": plain(case.values)}


def plain(value: Any) -> Any:
    """Return a value as plain JSON values, of which there are never many, whatever a student's code returned.

    A tensor becomes its shape, dtype and entries, rounded (null where there are none or more than 64); NaN and the
    infinities become strings; long texts, lists and dicts are cut.
    """
    return _plain(value, [NODES])


def _plain(value: Any, left: list[int]) -> Any:
    left[0] -= 1
    if left[0] < 0:
        return "…"
    if isinstance(value, Tensor):
        shown = 0 < value.numel() <= ENTRIES and not value.is_complex()
        entries = _plain(value.detach().tolist(), [10 * ENTRIES]) if shown else None
        return {"shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch."), "values": entries}
    if isinstance(value, float):
        return round(value, PLACES) + 0.0 if math.isfinite(value) else str(value)
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return _clip(value)
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    if isinstance(value, Mapping):
        return {_clip(str(name)): _plain(each, left) for name, each in islice(value.items(), ENTRIES)}
    if isinstance(value, (list, tuple)):
        return [_plain(each, left) for each in value[:ENTRIES]] + ["…"] * (len(value) > ENTRIES)
    return f"<{getattr(value, 'kind', 'object')}>"


def _hidden_message(fault: Fault | None, right: int, total: int) -> str:
    what = {
        None: "does not give the right result",
        Fault.CHANGED_ARGUMENT: "changes what it is given",
        Fault.RAISED: "raises an exception",
        Fault.TIMED_OUT: "runs past its time",
        Fault.CRASHED: "ends its process",
        Fault.OUT_OF_MEMORY: "runs out of memory",
        Fault.MALFORMED: "returns something that is no plain data",
        Fault.MISSING: "is not defined",
    }[fault]
    return f"{what} in {total - right} of {total} cases" if total > 1 else what


def _clip(text: str) -> str:
    return text if len(text) <= LENGTH else text[: LENGTH - 1] + "…"

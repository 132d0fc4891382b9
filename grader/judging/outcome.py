"""The outcome of one rubric test, read from the exception that the test raised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from grader.judging.broken_test import BrokenTest
from grader.place import Place, describe_cell
from grader.results.evidence import clip, to_plain_json
from grader.results.report import Verdict
from grader.student import Fault, StudentFault
from grader.testing.cases import Case, WrongCases
from grader.testing.failures import Absent, Mismatch, NeedsPerson, NoModel, Pending

__all__ = ["TestOutcome", "describe_case", "describe_hidden", "interpret_exception"]


@dataclass(frozen=True)
class TestOutcome:
    """The outcome of one test.

    Attributes:
        right: how many cases of `total` were right; a test without cases counts as one case.
        place: where the mistake was seen, if it is another place than the definition that was judged: the line that
            raised, or was running when its time was over.
        bound: the name that is bound there, if its line is not known yet; "_" for a displayed value.
        gist: the part of the message that is shown even if another item is the cause.
        misconception: the id of the known mistake that responds as the student's code does.
        remarks: remarks of the test that cost no points.
        begun_as: the name of what was begun and not finished, if the item is absent.
        pending: why the verdict waits, if it does: for a training, or for a person.
        fault: what the student's code did instead of returning a result, if it was that.
        is_no_model: whether something that should be a model, or give one, is and does not.
        broken: how the test itself broke, if it did; `blame.py` finds out why.
    """

    verdict: Verdict
    message: str = ""
    right: int = 0
    total: int = 1
    evidence: Mapping[str, Any] = field(default_factory=dict)
    place: Place | None = None
    bound: str = ""
    misconception: str | None = None
    remarks: tuple[str, ...] = ()
    begun_as: str = ""
    pending: Pending | None = field(default=None, compare=False)
    fault: Fault | None = None
    is_no_model: bool = False
    broken: BrokenTest | None = None
    gist: str = ""

    @property
    def is_useless(self) -> bool:
        """Whether what was judged cannot be a model at all, or does not come to an end."""
        return self.is_no_model or self.fault in (Fault.TIMED_OUT, Fault.CRASHED, Fault.OUT_OF_MEMORY)


def interpret_exception(error: BaseException, visible: bool) -> TestOutcome | None:
    """Return the outcome that an exception stands for. Return None if it is no statement about the student's work.

    If the item is not `visible`, neither message nor evidence shows inputs, expected values, or text from the student's
    code.
    """
    if isinstance(error, Absent):
        place = _find_place(error)
        return TestOutcome(Verdict.ABSENT, str(error), place=place, bound=error.bound, begun_as=error.begun_as)
    if isinstance(error, Pending):
        message = clip(str(error))
        waiting = {"awaits_person": message} if isinstance(error, NeedsPerson) else {}
        return TestOutcome(Verdict.PENDING, message, evidence=waiting, pending=error)
    right, total = (error.right, error.total) if isinstance(error, WrongCases) else (0, 1)
    first = error.first if isinstance(error, WrongCases) else error
    if not isinstance(first, (AssertionError, StudentFault)):
        return None
    fault = first.fault if isinstance(first, StudentFault) else None
    place = first.place if isinstance(first, StudentFault) else None
    if fault is Fault.MISSING:
        return TestOutcome(Verdict.ABSENT, str(first), fault=fault)
    no_model = isinstance(first, NoModel)
    verdict = Verdict.FAILED if fault in (None, Fault.CHANGED_ARGUMENT) else Verdict.ERROR
    if not visible:
        place = None if right else place  # in which line only some inputs raise says something about them
        message = describe_hidden(fault, right, total, place)
        return TestOutcome(verdict, message, right, total, fault=fault, is_no_model=no_model, place=place)
    message = (first.describe() if isinstance(first, StudentFault) else str(first)) or "is not right"
    evidence = dict(first.evidence) if isinstance(first, Mismatch) else {}
    if isinstance(error, WrongCases):
        message = f"wrong in {total - right} of {total} cases, first with {error.case.description}: {message}"
        evidence.update(describe_case(error.case), cases={"right": right, "total": total})
    bound = gist = ""
    if isinstance(first, Mismatch):
        place, bound, gist = _find_place(first), first.bound, first.gist
    outcome = TestOutcome(verdict, clip(message), right, total, evidence, place, bound, fault=fault, gist=gist)
    return replace(outcome, is_no_model=no_model)


def _find_place(error: Absent | Mismatch) -> Place | None:
    return Place(error.file, error.cell) if error.file is not None and error.cell is not None else None


def describe_case(case: Case) -> dict[str, Any]:
    """Return a case's description and inputs as evidence."""
    return {"case": case.description, "inputs": to_plain_json(case.values)}


def describe_hidden(fault: Fault | None, right: int, total: int, place: Place | None = None) -> str:
    """Return a message that shows neither inputs nor values nor text from the student's code, but a line."""
    message = {
        None: "does not give the right result",
        Fault.CHANGED_ARGUMENT: "changes what it is given",
        Fault.RAISED: "raises an exception",
        Fault.TIMED_OUT: "runs past its time",
        Fault.CRASHED: "ends its process",
        Fault.OUT_OF_MEMORY: "runs out of memory",
        Fault.MALFORMED: "returns something that is no plain data",
        Fault.MISSING: "is not defined",
    }[fault]
    where = "" if place is None else f" ({describe_cell(place.cell)}, line {place.line})"
    return f"{message} in {total - right} of {total} cases{where}" if total > 1 else f"{message}{where}"

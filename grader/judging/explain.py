"""Explain why an item failed: by the known mistake that responds the same, or by the smallest failing input."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from grader.assignment import Item
from grader.errors import AssignmentError
from grader.judging.evaluations import Evaluations
from grader.judging.item_evaluation import ItemEvaluation
from grader.judging.loading import Rubric
from grader.judging.local import LocalStudent
from grader.judging.outcome import TestOutcome, describe_case
from grader.judging.responses import RecordingStudent, UnlikeResponse
from grader.judging.smallest import find_smallest_failing
from grader.results.report import Verdict
from grader.student import StudentFault
from grader.testing.cases import Draw, WrongCases
from grader.testing.failures import Absent, Mismatch
from grader.testing.misconceptions import Misconception

__all__ = ["explain"]


class _Failure(NamedTuple):
    """How a student's code failed a test: its responses, and the evidence of the test."""

    responses: Sequence[Any]
    evidence: Mapping[str, Any]


def explain(item: Item, name: str, evaluation: ItemEvaluation, evaluations: Evaluations, rubric: Rubric) -> TestOutcome:
    """Return the outcome of a failed test, with the reason if one is found.

    Args:
        item: the item that was judged.
        name: the name of its first failed test.
        evaluation: the evaluation that counts for the item.
        evaluations: all evaluations of the submission.
        rubric: holds the misconceptions.

    Raises:
        AssignmentError: a misconception cannot be run.
    """
    outcome = evaluation.outcomes[name]
    if outcome.verdict is Verdict.ABSENT:
        return outcome
    test = evaluations.functions(item.id)[name]
    failure = _Failure(evaluation.responses[name], outcome.evidence)
    mistake = _find_same_mistake(item, test, failure, evaluations, rubric)
    if mistake is not None:
        evaluations.explained_by.append(mistake.id)
        reason = f"{mistake.says}; {mistake.look} (section {item.section})"
        message = f"{reason}. {outcome.message[:1].upper()}{outcome.message[1:]}"
        return replace(outcome, message=message, misconception=mistake.id)
    if item.visible and outcome.verdict is Verdict.FAILED:
        return _add_smallest(outcome, test, evaluation, evaluations)
    return outcome


def _find_same_mistake(
    item: Item, test: Callable[..., None], failure: _Failure, evaluations: Evaluations, rubric: Rubric
) -> Misconception | None:
    """Return the misconception that responds to the test as the student's code did.

    If several respond alike, prefer one that already explained an earlier item.
    """
    if not failure.responses:
        return None
    mistakes = [mistake for mistake in rubric.misconceptions if item.id in mistake.breaks]
    mistakes.sort(key=lambda mistake: mistake.id not in evaluations.explained_by)
    draw = evaluations.draw_for
    return next((mistake for mistake in mistakes if _fails_alike(mistake, test, draw(item.id), rubric, failure)), None)


def _fails_alike(
    mistake: Misconception, test: Callable[..., None], draw: Draw, rubric: Rubric, failure: _Failure
) -> bool:
    """Tell whether a mutant fails a test in the same way as the student's code."""
    try:
        student = RecordingStudent(LocalStudent(rubric.namespace(mistake)), failure.responses)
        arguments = {"student": student, "draw": draw, "remark": lambda _: None}
        test(**{name: arguments[name] for name in inspect.signature(test).parameters})
    except UnlikeResponse:
        return False
    except (AssertionError, StudentFault, Absent, WrongCases) as error:
        first = error.first if isinstance(error, WrongCases) else error
        evidence = first.evidence if isinstance(first, Mismatch) else {}
        return len(student.responses) == len(failure.responses) and _get_finding(evidence) == _get_finding(
            failure.evidence
        )
    except Exception as error:
        raise AssignmentError(f"misconception {mistake.id} cannot be run: {type(error).__name__}: {error}") from error
    return False  # the mutant passes this test


def _get_finding(evidence: Mapping[str, Any]) -> Any:
    """Return what a test found besides responses, such as a number of parameters. Tensors are among the responses."""
    found = evidence.get("found")
    return None if isinstance(found, dict) else found


def _add_smallest(
    outcome: TestOutcome, test: Callable[..., None], evaluation: ItemEvaluation, evaluations: Evaluations
) -> TestOutcome:
    """Add the smallest failing input, if the test's cases are `Searchable`."""
    case_test, draw_case = getattr(test, "case_test", None), getattr(test, "draw_case", None)
    if case_test is None or draw_case is None:
        return outcome
    state = evaluation.state
    try:
        with evaluations.work.open(state.definition, state.aliases or None) as student:
            failing = find_smallest_failing(case_test, draw_case, student)
    except StudentFault:
        return outcome
    if failing is None:
        return outcome
    case, mismatch = failing
    smallest = {**describe_case(case), **mismatch.evidence}
    smallest["case"] = f"the smallest input that goes wrong: {case.description}"
    message = f"{outcome.message}; the smallest input that goes wrong is {case.description}: {mismatch}"
    return replace(outcome, message=message, evidence={**outcome.evidence, "smallest": smallest})

"""Why an item went wrong: which known mistake answers the same, or else the smallest input that goes wrong."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from grader.assignment import Item
from grader.errors import AssignmentError
from grader.judging.evaluations import Evaluations, ItemEvaluation
from grader.judging.loading import Rubric
from grader.judging.local import LocalStudent
from grader.judging.outcome import TestOutcome, describe_case
from grader.judging.responses import Listener, UnlikeResponse
from grader.judging.smallest import find_smallest_failing
from grader.results.report import Verdict
from grader.student import StudentFault
from grader.testing.cases import Draw, WrongCases
from grader.testing.failures import Absent, Mismatch
from grader.testing.misconceptions import Misconception

__all__ = ["explain"]


class Explanation(NamedTuple):
    """What a student's work answered a test, and what the test found."""

    answers: Sequence[Any]
    evidence: Mapping[str, Any]


def explain(item: Item, name: str, trial: ItemEvaluation, trials: Evaluations, rubric: Rubric) -> TestOutcome:
    """Return the outcome of a test that went wrong, with the reason where one is found.

    Args:
        item: what was judged.
        name: of the first test that went wrong.
        trial: the state that counts, with what its tests came to.
        trials: what was tried.
        rubric: where the misconceptions are.

    Raises:
        AssignmentError: a misconception cannot be run.
    """
    outcome = trial.outcomes[name]
    if outcome.verdict is Verdict.ABSENT:
        return outcome
    test = trials.functions(item.id)[name]
    mistake = _same_mistake(item, test, Explanation(trial.answers[name], outcome.evidence), trials, rubric)
    if mistake is not None:
        trials.named.append(mistake.id)
        why = f"{mistake.says}; {mistake.look} (section {item.section})"
        message = f"{why}. {outcome.message[:1].upper()}{outcome.message[1:]}"
        return replace(outcome, message=message, misconception=mistake.id)
    if item.visible and outcome.verdict is Verdict.FAILED:
        return _with_the_smallest(outcome, test, trial, trials)
    return outcome


def _same_mistake(
    item: Item, test: Callable[..., None], heard: Explanation, trials: Evaluations, rubric: Rubric
) -> Misconception | None:
    """Return the misconception that answers the test as the student's work did.

    Several may answer one item alike: the one that already explained an earlier item comes first.
    """
    if not heard.answers:
        return None
    able = [mistake for mistake in rubric.misconceptions if item.id in mistake.breaks]
    able.sort(key=lambda mistake: mistake.id not in trials.named)
    return next((each for each in able if _answers(each, test, trials.draw_for(item.id), rubric, heard)), None)


def _answers(mistake: Misconception, test: Callable[..., None], draw: Draw, rubric: Rubric, heard: Explanation) -> bool:
    """Tell whether a mutant answers a test in the same way."""
    try:
        listener = Listener(LocalStudent(rubric.namespace(mistake)), heard.answers)
        arguments = {"student": listener, "draw": draw, "remark": lambda _: None}
        test(**{name: arguments[name] for name in inspect.signature(test).parameters})
    except UnlikeResponse:
        return False
    except (AssertionError, StudentFault, Absent, WrongCases) as error:
        first = error.first if isinstance(error, WrongCases) else error
        evidence = first.evidence if isinstance(first, Mismatch) else {}
        return len(listener.answers) == len(heard.answers) and _seen(evidence) == _seen(heard.evidence)
    except Exception as error:
        raise AssignmentError(f"misconception {mistake.id} cannot be run: {type(error).__name__}: {error}") from error
    return False  # it passes this test


def _seen(evidence: Mapping[str, Any]) -> Any:
    """Return what a test found besides answers, such as a number of parameters; tensors are answers."""
    found = evidence.get("found")
    return None if isinstance(found, dict) else found


def _with_the_smallest(
    outcome: TestOutcome, test: Callable[..., None], trial: ItemEvaluation, trials: Evaluations
) -> TestOutcome:
    """Show the smallest input that goes wrong, where the test says among which to look."""
    case_test, one = getattr(test, "case_test", None), getattr(test, "one", None)
    if case_test is None or one is None:
        return outcome
    try:
        with trials.work.open(trial.opening.definition, trial.opening.aliases or None) as student:
            found = find_smallest_failing(case_test, one, student)
    except StudentFault:
        return outcome
    if found is None:
        return outcome
    case, mismatch = found
    smallest = {**describe_case(case), **mismatch.evidence}
    smallest["case"] = f"the smallest input that goes wrong: {case.description}"
    message = f"{outcome.message}; the smallest input that goes wrong is {case.description}: {mismatch}"
    return replace(outcome, message=message, evidence={**outcome.evidence, "smallest": smallest})

"""Why an item went wrong: which known mistake answers the same, or else the smallest input that goes wrong."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from grader.assignment import Item
from grader.errors import AssignmentError
from grader.report import Verdict
from grader.student import StudentFault
from grader.testing.answers import Listener, alike
from grader.testing.cases import Draw
from grader.testing.loading import Rubric
from grader.testing.local import LocalStudent
from grader.testing.misconceptions import Misconception
from grader.testing.outcome import Absent, Outcome, WrongCases, case_evidence
from grader.testing.plugin import RubricPlugin, Trial
from grader.testing.smallest import smallest_failing

__all__ = ["explained"]


def explained(item: Item, name: str, trial: Trial, plugin: RubricPlugin, rubric: Rubric) -> Outcome:
    """Return the outcome of a test that went wrong, with the reason where one is found.

    Args:
        item: what was judged.
        name: of the first test that went wrong.
        trial: the state that counts, with what its tests came to.
        plugin: what ran them.
        rubric: where the misconceptions are.

    Raises:
        AssignmentError: a misconception cannot be run.
    """
    outcome = trial.outcomes[name]
    if outcome.verdict is Verdict.ABSENT:
        return outcome
    test = plugin.functions(item.id)[name]
    mistake = _same_mistake(item, test, trial.answers[name], plugin, rubric)
    if mistake is not None:
        why = f"{mistake.says}; {mistake.look} (section {item.section})"
        message = f"{why}. {outcome.message[:1].upper()}{outcome.message[1:]}"
        return replace(outcome, message=message, misconception=mistake.id)
    if item.visible and outcome.verdict is Verdict.FAILED:
        return _with_the_smallest(outcome, test, trial, plugin)
    return outcome


def _same_mistake(
    item: Item, test: Callable[..., None], answers: Sequence[Any], plugin: RubricPlugin, rubric: Rubric
) -> Misconception | None:
    """Return the misconception that answers the test as the student's work did."""
    if not answers:
        return None
    for mistake in rubric.misconceptions:
        if item.id in mistake.breaks and _answers(mistake, test, plugin.draw_for(item.id), rubric, answers):
            return mistake
    return None


def _answers(
    mistake: Misconception, test: Callable[..., None], draw: Draw, rubric: Rubric, expected: Sequence[Any]
) -> bool:
    """Tell whether a mutant gives these answers to a test."""
    listener = Listener(LocalStudent(rubric.namespace(mistake)))
    arguments = {"student": listener, "draw": draw}
    try:
        test(**{name: arguments[name] for name in inspect.signature(test).parameters})
    except (AssertionError, StudentFault, Absent, WrongCases):
        return alike(listener.answers, list(expected))
    except Exception as error:
        raise AssignmentError(f"misconception {mistake.id} cannot be run: {type(error).__name__}: {error}") from error
    return False  # it passes this test


def _with_the_smallest(outcome: Outcome, test: Callable[..., None], trial: Trial, plugin: RubricPlugin) -> Outcome:
    """Show the smallest input that goes wrong, where the test says among which to look."""
    case_test, one = getattr(test, "case_test", None), getattr(test, "one", None)
    if case_test is None or one is None:
        return outcome
    with plugin.work.open(trial.opening.definition, trial.opening.aliases or None) as student:
        found = smallest_failing(case_test, one, student)
    if found is None:
        return outcome
    case, mismatch = found
    smallest = {**case_evidence(case), **mismatch.evidence}
    smallest["case"] = f"the smallest input that goes wrong: {case.description}"
    message = f"{outcome.message}; the smallest input that goes wrong is {case.description}: {mismatch}"
    return replace(outcome, message=message, evidence={**outcome.evidence, "smallest": smallest})

"""Explain why an item failed: by the known mistakes that respond the same, or by the smallest failing input."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

from grader.assignment import Item
from grader.errors import GraderError
from grader.judging.evaluations import Evaluations
from grader.judging.interruption import limit_computing
from grader.judging.item_evaluation import ItemEvaluation
from grader.judging.loading import Rubric
from grader.judging.outcome import TestOutcome, describe_case
from grader.judging.smallest import find_smallest_failing
from grader.judging.suspects import find_suspects
from grader.results.report import Verdict
from grader.testing.failures import Overtime
from grader.testing.misconceptions import Misconception

__all__ = ["explain"]


def explain(item: Item, name: str, evaluation: ItemEvaluation, evaluations: Evaluations, rubric: Rubric) -> TestOutcome:
    """Return the outcome of a failed test, with the reason if one is found.

    Whatever goes wrong here costs the explanation only: a mistake that cannot be run or a test that breaks over a small
    input is shown to the author by `grader rubric verify`.

    Args:
        item: the item that was judged.
        name: the name of its first failed test.
        evaluation: the evaluation that counts for the item.
        evaluations: all evaluations of the submission.
        rubric: holds the misconceptions.
    """
    outcome = evaluation.outcomes[name]
    if outcome.verdict is Verdict.ABSENT:
        return outcome
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the code of known mistakes runs in this process, and no student wrote it
        suspects = find_suspects(item, name, evaluation, evaluations, rubric)
    if suspects:
        if len(suspects) == 1:
            evaluations.explained_by.append(suspects[0].id)
        reason = f"{_describe(suspects)} (section {item.section})"
        starts_with_name = outcome.broken is not None and not outcome.broken.case
        first = outcome.message[:1] if starts_with_name else outcome.message[:1].upper()
        message = f"{reason}. {first}{outcome.message[1:]}"
        return replace(outcome, message=message, misconception=" or ".join(mistake.id for mistake in suspects))
    if item.visible and outcome.verdict is Verdict.FAILED:
        return _add_smallest(outcome, evaluations.functions(item.id)[name], evaluation, evaluations)
    return outcome


def _describe(suspects: Sequence[Misconception]) -> str:
    """Say which known mistake it is, or which of several that cannot be told apart."""
    says = list(dict.fromkeys(mistake.says for mistake in suspects))
    looks = "; ".join(dict.fromkeys(mistake.look for mistake in suspects))
    return f"{says[0] if len(says) == 1 else 'either ' + ', or '.join(says)}; {looks}"


def _add_smallest(
    outcome: TestOutcome, test: Callable[..., None], evaluation: ItemEvaluation, evaluations: Evaluations
) -> TestOutcome:
    """Add the smallest failing input, if the test's cases are `Searchable`."""
    case_test, draw_case = getattr(test, "case_test", None), getattr(test, "draw_case", None)
    if case_test is None or draw_case is None:
        return outcome
    state = evaluation.state
    try:
        with (
            evaluations.work.open(state.definition, state.aliases or None) as student,
            limit_computing(evaluations.limits.test_seconds),
        ):
            failing = find_smallest_failing(case_test, draw_case, student)
    except GraderError:
        raise
    except (Exception, Overtime):  # no time is left, or an answer breaks the description of a case
        return outcome
    if failing is None:
        return outcome
    case, mismatch = failing
    smallest = {**describe_case(case), **mismatch.evidence}
    smallest["case"] = f"the smallest input that goes wrong: {case.description}"
    message = f"{outcome.message}; the smallest input that goes wrong is {case.description}: {mismatch}"
    return replace(outcome, message=message, evidence={**outcome.evidence, "smallest": smallest})

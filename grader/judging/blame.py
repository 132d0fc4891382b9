"""Find out who is to blame for a test that broke: the answer of the student's code, or the test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from grader.assignment import Item
from grader.errors import AssignmentError, RubricFault, SystemFault
from grader.judging.broken_test import BrokenTest
from grader.judging.differences import differ_in_value, find_difference
from grader.judging.evaluations import Evaluations
from grader.judging.item_evaluation import ItemEvaluation
from grader.judging.loading import Rubric
from grader.judging.local import LocalWork
from grader.judging.outcome import TestOutcome, describe_hidden
from grader.judging.responses import Response
from grader.results.evidence import clip
from grader.results.report import Verdict
from grader.student import Work

__all__ = ["BrokenTests"]


@dataclass(frozen=True)
class _Comparison:
    """How the model solution does in the test that broke.

    Attributes:
        obstacle: why there is nothing to compare with, or "".
        responses: the responses of the model solution.
        reads_values: whether the test also judges values that names had, which are not among the responses.
    """

    obstacle: str = ""
    responses: Sequence[Response] = ()
    reads_values: bool = False


class BrokenTests:
    """Finds out why tests broke over one submission.

    The model solution takes the same test, with the same random inputs. If the test breaks for it as well, or if the
    student's code answered as the model solution does, the answer is not to blame.

    Args:
        evaluations: all evaluations of the submission.
        rubric: holds the model solution.
    """

    def __init__(self, evaluations: Evaluations, rubric: Rubric) -> None:
        self._evaluations = evaluations
        self._rubric = rubric
        self._comparisons: dict[tuple[str, str], _Comparison] = {}

    def settle(self, item: Item, evaluation: ItemEvaluation) -> ItemEvaluation:
        """Return an evaluation in which each broken test says what is wrong: an answer that breaks a test is wrong.

        Args:
            item: the item that was judged.
            evaluation: one of its evaluations.

        Raises:
            RubricFault: the answer is not to blame, as far as that can be told.
            MemoryError: memory was refused.
            SystemFault: the machine is to blame, and the submission may be graded again.
        """
        outcomes = {
            name: self._settle(item, name, outcome, outcome.broken, evaluation.responses[name])
            if outcome.broken
            else outcome
            for name, outcome in evaluation.outcomes.items()
        }
        return replace(evaluation, outcomes=outcomes)

    def _settle(
        self, item: Item, name: str, outcome: TestOutcome, broken: BrokenTest, responses: Sequence[Response]
    ) -> TestOutcome:
        if (item.id, name) not in self._comparisons:
            self._comparisons[item.id, name] = self._ask_solution(item, name)
        right = self._comparisons[item.id, name]
        sentence = _blame_answer(broken, responses, right)
        if not sentence:
            reason = right.obstacle or "the submission answers as the model solution does"
            message = f"a test of {item.id} broke: {broken} ({reason})"
            if broken.lacked_memory:
                raise MemoryError(message)
            raise (SystemFault if broken.is_machines else RubricFault)(message)
        if not item.visible:
            sentence = describe_hidden(None, outcome.right, outcome.total)
        elif broken.case:
            wrong = outcome.total - outcome.right
            sentence = f"wrong in {wrong} of {outcome.total} cases, first with {broken.case}: {sentence}"
        return replace(outcome, message=clip(sentence))

    def _ask_solution(self, item: Item, name: str) -> _Comparison:
        try:
            work: Work = LocalWork(self._rubric.solution)
            evaluation = self._evaluations.evaluate_other(work, item, name)
        except AssignmentError:
            return _Comparison("there is no model solution to compare with")
        except Exception as error:  # a solution that cannot be run, which `rubric verify` shows to its author
            return _Comparison(f"the model solution cannot be run: {type(error).__name__}: {error}")
        outcome = evaluation.outcomes[name]
        if outcome.broken:
            return _Comparison("the model solution breaks it too")
        if outcome.verdict not in (Verdict.PASSED, Verdict.PENDING):
            return _Comparison("the model solution does not pass it either")
        return _Comparison("", evaluation.responses[name], evaluation.reads_values)


def _blame_answer(broken: BrokenTest, responses: Sequence[Response], right: _Comparison) -> str:
    """Return what is wrong with an answer that broke a test, for the student. Return "" if it is not to blame."""
    if right.obstacle:
        last = responses[-1] if responses else None
        is_nothing = last is not None and last.value is None and "NoneType" in broken.error
        return f"{last.subject} nothing (does it return its result?)" if last and is_nothing else ""
    if sentence := find_difference(responses, right.responses):
        return sentence
    if broken.is_machines:
        return ""
    if differ_in_value(responses, right.responses):
        return f"{responses[-1].subject} something that the test cannot work with ({broken.error})"
    if right.reads_values:
        return f"a value that the notebook holds or shows is none that the test can work with ({broken.error})"
    return ""

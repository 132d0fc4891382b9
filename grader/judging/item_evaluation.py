"""The outcomes of an item's tests in one state of a student's notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grader.judging.outcome import TestOutcome
from grader.judging.responses import Response
from grader.judging.states import CandidateState
from grader.results.report import Verdict
from grader.student import Fault
from grader.testing.failures import Pending

__all__ = ["ItemEvaluation"]


@dataclass(frozen=True)
class ItemEvaluation:
    """The outcomes of an item's tests in one state, and the responses of the student's code, by the test's name.

    `reads_values` tells whether a test also asked for the recorded values of names.
    """

    state: CandidateState
    outcomes: Mapping[str, TestOutcome]
    responses: Mapping[str, Sequence[Response]]
    reads_values: bool = False

    @property
    def passed(self) -> bool:
        return all(outcome.verdict is Verdict.PASSED for outcome in self.outcomes.values())

    @property
    def pending(self) -> Pending | None:
        """The reason for waiting, if a training is all that is left to decide."""
        undecided = [outcome for outcome in self.outcomes.values() if outcome.verdict is not Verdict.PASSED]
        return undecided[0].pending if len(undecided) == 1 else None

    @property
    def earns(self) -> bool:
        """Whether nothing is wrong, apart from a training that is still to decide."""
        return self.passed or self.pending is not None

    @property
    def failure(self) -> TestOutcome | None:
        """The outcome of the first test that did not pass."""
        return next((outcome for outcome in self.outcomes.values() if outcome.verdict is not Verdict.PASSED), None)

    @property
    def is_useless(self) -> bool:
        """Whether what was judged cannot be a model at all, or does not come to an end."""
        return self.failure is not None and self.failure.is_useless

    @property
    def hung(self) -> bool:
        """Whether a call ran out of time."""
        values = [response.value for of_test in self.responses.values() for response in of_test]
        return any(isinstance(value, tuple) and value and value[0] is Fault.TIMED_OUT for value in values)

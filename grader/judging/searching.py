"""Try a student's models, classes and functions for what items ask for under another name, within a budget."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from grader.assignment import Item
from grader.judging.item_evaluation import ItemEvaluation
from grader.judging.states import CandidateState
from grader.sandbox.protocol.limits import Limits

__all__ = ["Searching"]


class _Try(Protocol):
    def __call__(self, state: CandidateState, item: Item, *, at_most: float) -> ItemEvaluation:
        """Run the tests of an item in a state, each for `at_most` seconds."""


class Searching:
    """The searches of one submission, which share `search_seconds`.

    What did not come to an end, or gave no model, is not called again for another item.

    Args:
        limits: the assignment's limits.
        try_state: runs the tests of an item in a state.

    Attributes:
        untried: how many states were not tried because the time was over, by the items' main name.
    """

    def __init__(self, limits: Limits, try_state: _Try) -> None:
        self.untried: dict[str, int] = {}
        self._try_state = try_state
        self._seconds_for_one = limits.candidate_seconds
        self._seconds_left = limits.search_seconds
        self._left_out: set[tuple[str, int, str]] = set()

    def leave_out(self, state: CandidateState) -> None:
        """Do not try again what was found in this state."""
        if state.origin is not None:
            self._left_out.add(state.origin)

    def is_useless(self, state: CandidateState) -> bool:
        """Return whether an earlier item has shown that what was found in this state is of no use."""
        return state.origin in self._left_out

    def run(self, items: Sequence[Item], states: Sequence[CandidateState]) -> dict[str, ItemEvaluation]:
        """Return the evaluations of the items in the state that earns most of their points, by the item's id.

        Nothing is returned if no state earns points.

        Args:
            items: what is searched for, under the same main name.
            states: what to try, in order.
        """
        best: dict[str, ItemEvaluation] = {}
        most = 0.0
        for number, state in enumerate(states):
            if self.is_useless(state):
                continue
            if self._seconds_left <= 0:
                self.untried[items[0].names[0]] = len(states) - number
                break
            evaluations = self._try_items(state, items)
            earned = [item.points for item in items if item.id in evaluations and evaluations[item.id].earns]
            if sum(earned) > most:
                most, best = sum(earned), evaluations
            if len(earned) == len(items):
                break
        return best

    def _try_items(self, state: CandidateState, items: Sequence[Item]) -> dict[str, ItemEvaluation]:
        evaluations: dict[str, ItemEvaluation] = {}
        for item in items:
            started = time.monotonic()
            at_most = min(self._seconds_for_one, self._seconds_left)
            if at_most <= 0:
                break
            evaluation = evaluations[item.id] = self._try_state(state, item, at_most=at_most)
            self._seconds_left -= time.monotonic() - started
            failure = evaluation.failure
            if failure is not None and failure.is_useless:
                self.leave_out(state)
            if failure is not None and (failure.is_useless or failure.fault is not None):
                break  # there is no model that the next item could judge
        return evaluations

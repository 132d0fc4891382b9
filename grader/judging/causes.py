"""Find items that are wrong only because of another, and say so.

Nothing is guessed: the item is judged again as it stood, in a fresh fork in which only the name of the wrong function
is bound to a stand-in, which answers as the model solution does. If it is right then, and asked the stand-in, the wrong
function was all that was wrong. Such a try shows what the item would earn. It gives points only as far as the rubric
carries them forward.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

from grader.assignment import Assignment, CarriedForward, Item
from grader.judging.adapting import adapt
from grader.judging.evaluations import Evaluations
from grader.judging.item_evaluation import ItemEvaluation
from grader.judging.loading import Rubric
from grader.judging.scoring import choose_best
from grader.judging.states import CandidateState
from grader.judging.uses import STATEMENTS, find_uses, reach
from grader.models.stand_ins import StandIns
from grader.results.evidence import clip
from grader.results.report import ItemResult, Verdict
from grader.student import Fault, StudentFault
from grader.submission.submission import Notebook

__all__ = ["Causes", "is_lost", "load_right_names"]

_LOST = (Verdict.FAILED, Verdict.ERROR, Verdict.PARTIAL, Verdict.ABSENT)
_OUT_OF_TIME = re.compile(r"all (tests|reruns) together ran past|submission ran past")
_NEVER_BEGUN = "is not defined in this submission"
_SHARES = {CarriedForward.NONE: 0.0, CarriedForward.HALF: 0.5, CarriedForward.FULL: 1.0}
_QUARTERS = 4  # of a point
_MOST_STATES = 3  # of an item that are tried
_MOST_ALONE = 4  # wrong functions that are tried one by one for an item
_MOST_TRIES = 60  # of one submission
_SECONDS = 30.0  # for all tries of one submission
_SECONDS_OF_TEST = 5.0


class _Try(NamedTuple):
    """How an item does with right functions in place of wrong ones: the student's own names by the assignment's."""

    replaced: Mapping[str, str]
    evaluation: ItemEvaluation
    stand_ins: StandIns

    @property
    def asked(self) -> tuple[str, ...]:
        """The names of those that were asked. The others have no part in the outcome."""
        return tuple(name for name, own in self.replaced.items() if self.stand_ins.asked[own])

    def is_right(self, item: Item) -> bool:
        """Whether an item is right, and its test asks for more than what was replaced."""
        asks_for_own = not item.names or bool(self.stand_ins.asked_by_test - self.replaced.keys())
        return self.evaluation.earns and asks_for_own


class Causes:
    """Finds the causes among the items of one submission.

    Args:
        assignment: the rubric.
        items: the items that were judged, in its order.
        results: their results.
        evaluations: all evaluations of the submission.
        rubric: holds the model solution.
        notebooks: the submission's, whose source tells what uses what.
    """

    def __init__(
        self,
        assignment: Assignment,
        items: Sequence[Item],
        results: Mapping[str, ItemResult],
        evaluations: Evaluations,
        rubric: Rubric,
        notebooks: Sequence[Notebook],
    ) -> None:
        self._assignment = assignment
        self._items = items
        self._results = dict(results)
        self._evaluations = evaluations
        self._right = load_right_names(rubric)
        self._uses = find_uses(notebooks)
        self._lost: dict[str, list[Item]] = {}  # by the name that they judge
        for item in items:
            if item.names and is_lost(results[item.id]):
                self._lost.setdefault(item.names[0], []).append(item)
        self._causes: dict[str, tuple[str, ...]] = {}  # the wrong functions behind an item, by its id
        self._rubric = rubric
        self._adapted: dict[str, Callable[..., Any]] = {}
        self._tries_left = _MOST_TRIES
        self._deadline = time.monotonic() + _SECONDS

    def explain(self) -> dict[str, ItemResult]:
        """Return the results of all items. One that is lost because of another says so."""
        named = [item for items in self._lost.values() for item in items]
        nameless = [item for item in self._items if not item.names and is_lost(self._results[item.id])]
        # What others use comes first, so that a chain of functions leads to its first wrong one.
        for item in [*sorted(named, key=lambda item: len(self._find_wrong(item))), *nameless]:
            self._causes[item.id] = self._explain_item(item)
        for name in self._lost:
            self._join_echoes(name)
        return self._results

    def _explain_item(self, item: Item) -> tuple[str, ...]:
        """Try right functions in place of the wrong ones that an item uses. Return those that it is lost because of."""
        candidates = self._evaluations.by_item[item.id]
        wrong = [name for name in self._find_wrong(item) if name in self._right]
        if not candidates or not wrong:
            return ()
        state, tried = self._try_states(item, choose_best(item, candidates).evaluation, wrong)
        if tried is None:
            return ()
        if not tried.is_right(item):
            if not tried.stand_ins.unanswered:
                self._add_own_mistake(item, tried)
            return ()
        if len(tried.asked) > 1:  # one of them may be enough
            alone = (self._try(item, state, [name]) for name in tried.asked[:_MOST_ALONE])
            tried = next((one for one in alone if one and one.asked and one.is_right(item)), tried)
        self._results[item.id] = self._make_result(item, tried)
        return tried.asked

    def _try_states(self, item: Item, best: ItemEvaluation, wrong: Sequence[str]) -> tuple[CandidateState, _Try | None]:
        """Try the state that counts, then others: a finished model calls no stand-in, but its class does."""
        others = [one.state for one in reversed(self._evaluations.by_item[item.id]) if one is not best]
        for state in [best.state, *others][:_MOST_STATES]:
            tried = self._try(item, state, wrong)
            if tried is not None and tried.asked:
                return state, tried
        return best.state, None

    def _find_wrong(self, item: Item) -> list[str]:
        """Return the wrong functions that an item uses, as far as they are wrong themselves, in the rubric's order."""
        main = item.names[0] if item.names else STATEMENTS
        used = {*item.names, *reach(main, self._uses)} & self._lost.keys() - {main}
        roots = {root for name in used for root in self._find_roots(name)} - {main}
        if len(item.names) > 1 and self._lost[main][0] is not item:
            roots.add(main)  # its test may compare that function, which another item judges, with others
        return [name for name in self._lost if name in roots]

    def _find_roots(self, name: str) -> tuple[str, ...]:
        """Return the functions that a function is wrong because of, as far as that is known; itself, if it is wrong."""
        found = [self._causes[item.id] for item in self._lost[name] if item.id in self._causes]
        return tuple(root for causes in found for root in causes) if found and all(found) else (name,)

    def _try(self, item: Item, state: CandidateState, names: Sequence[str]) -> _Try | None:
        seconds = min(_SECONDS_OF_TEST, self._deadline - time.monotonic())
        if self._tries_left <= 0 or seconds <= 0:
            return None
        self._tries_left -= 1
        replaced = {name: state.aliases.get(name) or self._find_own_name(name) for name in names}
        stand_ins = StandIns({own: self._adapt(name) for name, own in replaced.items()})
        evaluation = self._evaluations.evaluate_with(item, state, stand_ins, seconds)
        return _Try(replaced, evaluation, stand_ins) if evaluation else None

    def _adapt(self, name: str) -> Callable[..., Any]:
        """Return the right function of a name, to be called as the student's own is."""
        if name not in self._adapted:
            item, right = self._lost[name][0], self._right[name]
            self._adapted[name] = right
            candidates, arguments = self._evaluations.by_item[item.id], self._rubric.find_arguments(item.id)
            if candidates and arguments:
                state = choose_best(item, candidates).evaluation.state
                work = self._evaluations.work
                with (
                    suppress(StudentFault),
                    work.open(state.definition, state.aliases or None, at_most=_SECONDS_OF_TEST) as student,
                ):
                    self._adapted[name] = adapt(right, getattr(student, name), arguments)
        return self._adapted[name]

    def _find_own_name(self, name: str) -> str:
        """Return the student's own name for what the assignment calls `name`."""
        item = self._lost[name][0]
        candidates = self._evaluations.by_item[item.id]
        return choose_best(item, candidates).evaluation.state.aliases.get(name, name) if candidates else name

    def _find_root_item(self, name: str) -> Item:
        """Return the first item that a name loses by itself."""
        items = self._lost[name]
        return next((item for item in items if self._results[item.id].because_of is None), items[0])

    def _make_result(self, item: Item, tried: _Try) -> ItemResult:
        result = self._results[item.id]
        roots = {tried.replaced[name]: self._find_root_item(name) for name in tried.asked}
        message = "because of " + " and ".join(f"{own} ({root.id})" for own, root in roots.items())
        if gist := self._find_gist(item):
            message = f"{message}: {gist}"
        carried = max(result.points, self._carry_forward(item, tried))
        if carried > result.points:
            message = f"{message}; {carried:g} of {item.points:g} points are carried forward"
        first = next(iter(roots.values()))
        return replace(
            result,
            points=carried,
            verdict=Verdict.PARTIAL if carried else result.verdict,
            message=message,
            evidence={},
            misconception=None,
            because_of=first.id,
            would_earn=item.points if tried.evaluation.passed else None,
        )

    def _find_gist(self, item: Item) -> str:
        """Return what the item's test says about its mistake whatever the cause is."""
        best = choose_best(item, self._evaluations.by_item[item.id])
        return best.evaluation.outcomes[best.failed].gist if best.failed and item.visible else ""

    def _carry_forward(self, item: Item, tried: _Try) -> float:
        """Return the points that the rubric gives although other functions are wrong.

        A stand-in must earn nothing for a function that the student has not tried to write, nor for an item that does
        not build on it, nor where a test calls it itself.
        """
        names = {*tried.asked}
        roots = [self._results[item.id] for name in names for item in self._lost[name]]
        honest = all(root.verdict is not Verdict.ABSENT for root in roots)
        builds_on = not item.names or names <= {*item.names[1:]}
        if not (honest and builds_on and tried.evaluation.passed) or names & tried.stand_ins.asked_by_test:
            return 0
        share = _SHARES[item.carried_forward or self._assignment.carried_forward]
        return math.floor(item.points * share * _QUARTERS) / _QUARTERS

    def _add_own_mistake(self, item: Item, tried: _Try) -> None:
        """Add to an item's message how it is still wrong with the right functions."""
        result, failure = self._results[item.id], tried.evaluation.failure
        shown = item.visible and all(other.visible for name in tried.asked for other in self._lost[name])
        if not shown or failure is None or failure.broken or failure.message in result.message:
            return
        names = " and ".join(tried.replaced[name] for name in tried.asked)
        message = clip(f"{result.message}; also with a right {names}: {failure.message}")
        self._results[item.id] = replace(result, message=message)

    def _join_echoes(self, name: str) -> None:
        """Let the items of a name that fails alike in all of them be lost because of its first one."""
        own = [item for item in self._lost[name] if self._results[item.id].because_of is None]
        faults = [self._find_fault(item) for item in own]
        for item, fault in zip(own[1:], faults[1:], strict=True):
            if fault is not None and fault == faults[0]:
                self._results[item.id] = replace(
                    self._results[item.id],
                    message=f"because of {self._find_own_name(name)} ({own[0].id})",
                    evidence={},
                    because_of=own[0].id,
                )

    def _find_fault(self, item: Item) -> Any:
        """Return what the student's code did instead of responding, or None if it responded."""
        candidates = self._evaluations.by_item[item.id]
        if not candidates:
            message = self._results[item.id].message
            return None if _NEVER_BEGUN in message else message
        best = choose_best(item, candidates)
        responses = best.evaluation.responses.get(best.failed, ())
        value = responses[-1].value if responses else None
        is_fault = isinstance(value, tuple) and len(value) > 0 and isinstance(value[0], Fault)
        return (best.evaluation.state.definition, value) if is_fault else None


def is_lost(result: ItemResult) -> bool:
    """Return whether an item is lost, and not only because the time for all items was over."""
    return result.verdict in _LOST and not _OUT_OF_TIME.search(result.message)


def load_right_names(rubric: Rubric) -> Mapping[str, Any]:
    """Return the functions and classes of the model solution, or none if there is no model solution that runs."""
    try:
        return {name: thing for name, thing in rubric.right_names.items() if callable(thing)}
    except Exception:  # `rubric verify` shows it to its author
        return {}

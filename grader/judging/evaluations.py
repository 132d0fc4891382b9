"""Tries each item of an assignment in the states of one submission, until one passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from grader.assignment import Assignment, Item
from grader.errors import AssignmentError
from grader.judging.outcome import TestOutcome
from grader.judging.plugin import RubricPlugin, TestContext, get_test_name, locate_test
from grader.judging.responses import Listener
from grader.results.report import Verdict
from grader.student import Definition, Fault, Student, Work
from grader.testing.cases import Draw
from grader.testing.failures import Pending, ToTrain
from grader.testing.learning import Training

__all__ = ["CandidateState", "Evaluations", "ItemEvaluation"]

_MOST_GRAPHS = 4  # different models that one item has trained


@dataclass(frozen=True)
class CandidateState:
    """One state of the student's notebook to judge; `found_as` is the student's own name for what was searched."""

    definition: Definition | None
    aliases: Mapping[str, str] = field(default_factory=dict)
    found_as: str | None = None


@dataclass(frozen=True)
class ItemEvaluation:
    """What the tests of one item came to in one state, and what the student's work answered them."""

    opening: CandidateState
    outcomes: Mapping[str, TestOutcome]
    answers: Mapping[str, Sequence[Any]]

    @property
    def passed(self) -> bool:
        return all(outcome.verdict is Verdict.PASSED for outcome in self.outcomes.values())

    @property
    def pending(self) -> Pending | None:
        """What is to be decided by a training, where that is all there is to decide."""
        undecided = [outcome for outcome in self.outcomes.values() if outcome.verdict is not Verdict.PASSED]
        return undecided[0].pending if len(undecided) == 1 else None

    @property
    def hung(self) -> bool:
        """Whether a call ran past its time."""
        answers = [answer for heard in self.answers.values() for answer in heard]
        return any(isinstance(answer, tuple) and answer[:1] == (Fault.TIMED_OUT,) for answer in answers)


class Evaluations:
    """What was tried for the items of one submission.

    Args:
        plugin: what runs the tests.
        assignment: the rubric.
        work: the submission, its cells run.
        openings: for the id of each item that is judged the states to judge it in, in order.
        seed: what the cases are drawn from.
        trainings: what the tests of items that are earned by training are told, by the item's id.

    Attributes:
        tried: for each item's id what was tried.
        named: the misconceptions that explained items so far.

    Raises:
        AssignmentError: a test judges an item that is not there, or an item has no test.
    """

    def __init__(
        self,
        plugin: RubricPlugin,
        assignment: Assignment,
        work: Work,
        openings: Mapping[str, list[CandidateState]],
        seed: str,
        trainings: Mapping[str, Training],
    ) -> None:
        self._items = {each.id: each for each in assignment.items if not each.by_person}
        for identifier in plugin.tests.keys() - self._items.keys():
            where = locate_test(plugin.tests[identifier][0])
            raise AssignmentError(f"{where} judges {identifier!r}: rubric.toml has no such item")
        for identifier in self._items.keys() - plugin.tests.keys():
            raise AssignmentError(f"item {identifier!r} has no test: mark one with @item({identifier!r})")
        self.work = work
        self.tried: dict[str, list[ItemEvaluation]] = {identifier: [] for identifier in self._items}
        self.named: list[str] = []
        self._plugin = plugin
        self._openings = openings
        self._seed = seed
        self._trainings = trainings
        self._limits = assignment.limits
        self._listener: Listener | None = None
        self._used = False  # whether since the trial began a process was asked that others had asked, or anything ahead
        self._remarks: list[str] = []
        self._hung: set[tuple[str, int]] = set()
        self._searched: dict[tuple[str, ...], CandidateState | None] = {}

    def run(self) -> None:
        """Try all.

        Raises:
            AssignmentError: a test broke.
        """
        for identifier in self._openings:
            self._try(self._items[identifier])

    def draw_for(self, identifier: str) -> Draw:
        """Return what an item's cases are drawn from."""
        return Draw(f"{self._seed}\n{identifier}")

    def functions(self, identifier: str) -> dict[str, Callable[..., None]]:
        """Return the test functions of an item by name."""
        return {get_test_name(test): test.obj for test in self._plugin.tests[identifier]}

    def _try(self, each: Item) -> None:
        for number, opening in enumerate(self._openings[each.id]):
            where = opening.definition
            # Each item would wait for it: what did not end at the end of the notebook is tried as it was made only.
            if where and where.at_end and (where.file, where.cell) in self._hung:
                continue
            # What was found, or not found, for one item is not searched for again by the next: a search opens much.
            if opening.found_as and self._searched.get(each.names, opening) != opening:
                continue
            trial = self._trial(each, number, shared=not each.recipes)
            if self._used and not trial.passed and opening.found_as is None:
                # What others left behind may be why: it is tried once more where nobody was before.
                trial = self._trial(each, number, shared=False)
            self.tried[each.id].append(trial)
            if where and where.at_end and trial.hung:
                self._hung.add((where.file, where.cell))
            if trial.passed or self._enough(each):
                break
        if any(opening.found_as for opening in self._openings[each.id]):
            last = self.tried[each.id][-1:]
            found = bool(last) and (last[0].passed or last[0].pending is not None)
            self._searched.setdefault(each.names, last[0].opening if found else None)

    def _trial(self, each: Item, number: int, shared: bool) -> ItemEvaluation:
        """Run the tests of an item in one of its openings."""
        opening, self._used = self._openings[each.id][number], False
        outcomes: dict[str, TestOutcome] = {}
        answers: dict[str, Sequence[Any]] = {}
        given = TestContext(
            student=lambda: self._opened(each, opening, shared),
            draw=lambda: self.draw_for(each.id),
            remark=self._remarks.append,
            training=self._trainings.get(each.id),
        )
        for test in self._plugin.tests[each.id]:
            self._listener = None
            self._remarks.clear()
            outcome = self._plugin.run(test, given, each.visible)
            outcomes[get_test_name(test)] = replace(outcome, remarks=tuple(self._remarks))
            answers[get_test_name(test)] = self._listener.answers if self._listener else ()
        return ItemEvaluation(opening, outcomes, answers)

    @contextmanager
    def _opened(self, each: Item, opening: CandidateState, shared: bool) -> Iterator[Student]:
        seconds = self._limits.training_seconds if each.recipes else None
        with self.work.open(opening.definition, opening.aliases or None, seconds, shared=shared) as student:
            self._listener = Listener(student)
            try:
                yield self._listener
            finally:
                self._used = self._used or student.used

    def _enough(self, each: Item) -> bool:
        """Tell whether no further definition of a trained item is needed: there are enough, or nothing is trained."""
        pending = [trial.pending for trial in self.tried[each.id] if trial.pending is not None]
        models = [waiting for waiting in pending if isinstance(waiting, ToTrain)]
        # The textbook's model learns, so nothing better can follow.
        done = any(type(waiting) is Pending for waiting in pending) or any(not model.departs for model in models)
        return done or len({model.graph.key for model in models}) >= _MOST_GRAPHS

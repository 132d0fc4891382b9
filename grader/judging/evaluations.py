"""Evaluate each item of an assignment in the candidate states of one submission, until one passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, runtime_checkable

import pytest

from grader.assignment import Assignment, Item
from grader.errors import AssignmentError
from grader.judging.item_evaluation import ItemEvaluation
from grader.judging.outcome import TestOutcome
from grader.judging.plugin import RubricPlugin, TestContext, get_test_name, locate_test
from grader.judging.responses import RecordingStudent, Response
from grader.judging.searching import Searching
from grader.judging.states import CandidateState, Search
from grader.models.stand_ins import StandIns
from grader.results.report import Verdict
from grader.student import Definition, Fault, Student, Work
from grader.testing.cases import Draw
from grader.testing.failures import NeedsPerson, Pending, ToTrain
from grader.testing.learning import Training

__all__ = ["Evaluations", "ItemStates", "TakesStandIns"]

_MOST_GRAPHS = 4  # different models that are trained for one item


@runtime_checkable
class TakesStandIns(Protocol):
    """Work in which a right function can take the place of a student's own."""

    def open_with(
        self, definition: Definition | None, aliases: Mapping[str, str], stand_ins: StandIns, seconds: float
    ) -> AbstractContextManager[Student]:
        """Open a state in a fresh process in which names are bound to stand-ins."""


@dataclass(frozen=True)
class ItemStates:
    """The states in which an item is judged, in order.

    Attributes:
        defined: those in which it is defined.
        find_instances: finds those with a model in place of its class, for a class that is called in another way than
            the textbook's.
    """

    defined: Sequence[CandidateState]
    find_instances: Callable[[], Sequence[CandidateState]] = tuple


def _reads_values(states: ItemStates) -> bool:
    return any(state.definition is None for state in states.defined)


class Evaluations:
    """The evaluations of the items of one submission.

    Args:
        plugin: runs the tests.
        assignment: the rubric.
        work: the submission, after its cells have run.
        states: the states to judge each item in, by the item's id.
        plan_searches: lists what to search for under other names once all items are judged.
        seed: decides the random inputs of all cases.
        trainings: how to train, for the items that are earned by training, by the item's id.

    Attributes:
        by_item: the evaluations so far, by the item's id.
        limits: the assignment's limits.
        explained_by: the ids of the misconceptions that have explained items so far.
        ruled_out: the ids of those that break an item on the definition that they replace, and not as it is broken.

    Raises:
        AssignmentError: a test judges an item that does not exist, or an item has no test.
    """

    def __init__(
        self,
        plugin: RubricPlugin,
        assignment: Assignment,
        work: Work,
        states: Mapping[str, ItemStates],
        plan_searches: Callable[[], Sequence[Search]],
        seed: str,
        trainings: Mapping[str, Training],
    ) -> None:
        self._items = {item.id: item for item in assignment.items if not item.by_person}
        for identifier in plugin.tests.keys() - self._items.keys():
            where = locate_test(plugin.tests[identifier][0])
            raise AssignmentError(f"{where} judges {identifier!r}: rubric.toml has no such item")
        for identifier in self._items.keys() - plugin.tests.keys():
            raise AssignmentError(f"item {identifier!r} has no test: mark one with @item({identifier!r})")
        self.work = work
        self.by_item: dict[str, list[ItemEvaluation]] = {identifier: [] for identifier in self._items}
        self.explained_by: list[str] = []
        self.ruled_out: set[str] = set()
        self._plugin = plugin
        self._states = states
        self._plan_searches = plan_searches
        self._seed = seed
        self._trainings = trainings
        self.limits = assignment.limits
        self._student: RecordingStudent | None = None
        self._opened: list[Student] = []
        # Whether the current evaluation used a process that other tests had used, or one with calls made ahead.
        self._used = False
        self._remarks: list[str] = []
        self._hung: set[tuple[str, int]] = set()
        self._endless: set[str] = set()  # names of items of which a call ran out of time
        self.searching = Searching(assignment.limits, partial(self._evaluate_in, shared=True))

    def run(self) -> None:
        """Evaluate all items.

        Raises:
            AssignmentError: a test cannot be run.
        """
        # Items that are judged by recorded values come last: their tests run the cells again, which uses up a process.
        late = []
        for identifier, states in sorted(self._states.items(), key=lambda entry: _reads_values(entry[1])):
            item = self._items[identifier]
            if self._endless.isdisjoint(item.names):
                self._evaluate_defined(item, states)
            else:
                late.append((item, states))  # what never ends takes no time from what does
        for item, states in late:
            self._evaluate_defined(item, states)
        # Searches come last: whatever they try, it takes no time from what is defined.
        for search in self._plan_searches():
            self._search(search)

    def _evaluate_defined(self, item: Item, states: ItemStates) -> None:
        if not self._evaluate(item, states.defined) and self._raises_everywhere(item):
            self._evaluate(item, states.find_instances())
        if item.names and any(evaluation.hung for evaluation in self.by_item[item.id]):
            self._endless.add(item.names[0])

    def draw_for(self, identifier: str, further: int = 0) -> Draw:
        """Return the source of random inputs for an item's cases, or for the cases of a `further` draw."""
        return Draw(f"{self._seed}\n{identifier}" + (f"\n{further}" if further else ""))

    def functions(self, identifier: str) -> dict[str, Callable[..., None]]:
        """Return the test functions of an item by name."""
        return {get_test_name(test): test.obj for test in self._plugin.tests[identifier]}

    def _evaluate(self, item: Item, states: Sequence[CandidateState]) -> bool:
        """Evaluate an item in each state until one passes. Return whether one did, or none is needed any more."""
        for state in states:
            definition = state.definition
            # Do not let every item wait for a call that hangs at the end of the notebook: after the first one, evaluate
            # that definition only as it stood when it was made.
            if definition and definition.at_end and (definition.file, definition.cell) in self._hung:
                continue
            if self.searching.is_useless(state):
                continue
            evaluation = self._evaluate_in(state, item, shared=not item.recipes)
            if self._used and not evaluation.passed:
                # An earlier test may have left something behind in the process: try again in a fresh one.
                evaluation = self._evaluate_in(state, item, shared=False)
            if definition and definition.at_end and evaluation.hung:
                self._hung.add((definition.file, definition.cell))
            if state.found_as and item.search and evaluation.is_useless:
                self.searching.leave_out(state)
                continue  # its name misleads: this is no wrong model, but none
            self.by_item[item.id].append(evaluation)
            if evaluation.passed or self._has_enough(item):
                return True
        return False

    def _raises_everywhere(self, item: Item) -> bool:
        failures = [evaluation.failure for evaluation in self.by_item[item.id]]
        return bool(failures) and all(failure and failure.fault is Fault.RAISED for failure in failures)

    def _search(self, search: Search) -> None:
        """Search for what some items ask for. All of them are judged on the model that earns most of their points."""
        judged = [item for item in search.items if not item.recipes] or search.items
        earned = sum(item.points for item in judged if any(e.earns for e in self.by_item[item.id]))
        if earned == sum(item.points for item in judged):
            return
        best = self.searching.run(judged, search.states)
        if sum(item.points for item in judged if item.id in best and best[item.id].earns) <= earned:
            return
        for item in search.items:
            evaluation = best.get(item.id)
            if evaluation is None or not evaluation.earns:
                state = next(iter(best.values())).state
                evaluation = self._evaluate_in(state, item, shared=False)
            self.by_item[item.id].append(evaluation)

    def evaluate_other(self, work: Work, item: Item, test_name: str) -> ItemEvaluation:
        """Run one test of an item against other work, at its end, with the same random inputs.

        Args:
            work: work of our own, such as the model solution.
            item: the item.
            test_name: the name of one of its tests.
        """
        definition = next(iter(reversed(work.definitions(item.names))), None) if item.names else None
        tests = [test for test in self._plugin.tests[item.id] if get_test_name(test) == test_name]
        return self._run_tests(item, tests, CandidateState(definition), partial(self._open, work, item))

    def evaluate_with(
        self, item: Item, state: CandidateState, stand_ins: StandIns, seconds: float
    ) -> ItemEvaluation | None:
        """Run the tests of an item in one state with stand-ins for some names.

        Return None if the work has no place for stand-ins, or nothing can be opened any more.

        Args:
            item: the item.
            state: the state.
            stand_ins: answer in place of the student's own.
            seconds: how long each test may take.
        """
        work = self.work
        if not isinstance(work, TakesStandIns):
            return None

        @contextmanager
        def open_student(state: CandidateState) -> Iterator[Student]:
            with work.open_with(state.definition, state.aliases, stand_ins, seconds) as student:
                self._student = RecordingStudent(student)
                yield self._student

        return self._run_tests(item, self._plugin.tests[item.id], state, open_student)

    def _evaluate_in(
        self, state: CandidateState, item: Item, shared: bool, at_most: float | None = None
    ) -> ItemEvaluation:
        """Run the tests of an item in one state; if a search tries it for `at_most` seconds, until one fails."""
        open_student = partial(self._open, self.work, item, shared=shared, at_most=at_most)
        return self._run_tests(item, self._plugin.tests[item.id], state, open_student, at_most)

    def _run_tests(
        self,
        item: Item,
        tests: Sequence[pytest.Function],
        state: CandidateState,
        open_student: Callable[[CandidateState], AbstractContextManager[Student]],
        at_most: float | None = None,
    ) -> ItemEvaluation:
        self._used = False
        self._opened.clear()
        outcomes: dict[str, TestOutcome] = {}
        responses: dict[str, Sequence[Response]] = {}
        reads_values = False
        context = TestContext(
            student=lambda: open_student(state),
            draw=lambda: self.draw_for(item.id),
            remark=self._remarks.append,
            seconds=self.limits.training_seconds if item.recipes else self.limits.test_seconds,
            training=self._trainings.get(item.id),
        )
        for test in tests:
            self._student = None
            self._remarks.clear()
            outcome = self._plugin.run(test, context, item.visible)
            outcomes[get_test_name(test)] = replace(outcome, remarks=tuple(self._remarks))
            responses[get_test_name(test)] = self._student.all_responses if self._student else ()
            reads_values = reads_values or (self._student is not None and self._student.reads_values)
            if at_most is not None and outcome.verdict is not Verdict.PASSED:
                break
        evaluation = ItemEvaluation(state, outcomes, responses, reads_values)
        if evaluation.earns:
            for student in self._opened:
                student.mark_earning()
        return evaluation

    @contextmanager
    def _open(
        self, work: Work, item: Item, state: CandidateState, shared: bool = False, at_most: float | None = None
    ) -> Iterator[Student]:
        seconds = self.limits.training_seconds if item.recipes else None
        aliases = state.aliases or None
        with work.open(state.definition, aliases, seconds, shared=shared, at_most=at_most) as student:
            self._student = RecordingStudent(student)
            self._opened.append(student)
            try:
                yield self._student
            finally:
                self._used = self._used or student.used

    def _has_enough(self, item: Item) -> bool:
        """Tell whether an item that is earned by training needs no further state."""
        pending = [evaluation.pending for evaluation in self.by_item[item.id] if evaluation.pending is not None]
        models = [reason for reason in pending if isinstance(reason, ToTrain)]
        # Nothing is trained at all, or the model is the textbook's, which no other model can better.
        done = any(type(reason) in (Pending, NeedsPerson) for reason in pending) or any(
            not model.departs for model in models
        )
        return done or len({model.graph.key for model in models}) >= _MOST_GRAPHS

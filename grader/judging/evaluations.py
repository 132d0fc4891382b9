"""Evaluate each item of an assignment in the candidate states of one submission, until one passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from grader.assignment import Assignment, Item
from grader.errors import AssignmentError
from grader.judging.outcome import TestOutcome
from grader.judging.plugin import RubricPlugin, TestContext, get_test_name, locate_test
from grader.judging.responses import RecordingStudent
from grader.results.report import Verdict
from grader.student import Definition, Fault, Student, Work
from grader.testing.cases import Draw
from grader.testing.failures import Pending, ToTrain
from grader.testing.learning import Training

__all__ = ["CandidateState", "Evaluations", "ItemEvaluation"]

_MOST_GRAPHS = 4  # different models that are trained for one item


@dataclass(frozen=True)
class CandidateState:
    """A state of the student's notebook in which an item is judged.

    Attributes:
        definition: the definition after which the notebook stands; None offers recorded values only.
        aliases: maps the name that a test asks for to the student's own name.
        found_as: the student's own name, if the state was found by a search.
    """

    definition: Definition | None
    aliases: Mapping[str, str] = field(default_factory=dict)
    found_as: str | None = None


@dataclass(frozen=True)
class ItemEvaluation:
    """The outcomes of an item's tests in one state, and the responses of the student's code, by the test's name."""

    state: CandidateState
    outcomes: Mapping[str, TestOutcome]
    responses: Mapping[str, Sequence[Any]]

    @property
    def passed(self) -> bool:
        return all(outcome.verdict is Verdict.PASSED for outcome in self.outcomes.values())

    @property
    def pending(self) -> Pending | None:
        """The reason for waiting, if a training is all that is left to decide."""
        undecided = [outcome for outcome in self.outcomes.values() if outcome.verdict is not Verdict.PASSED]
        return undecided[0].pending if len(undecided) == 1 else None

    @property
    def hung(self) -> bool:
        """Whether a call ran out of time."""
        responses = [response for of_test in self.responses.values() for response in of_test]
        return any(isinstance(response, tuple) and response[:1] == (Fault.TIMED_OUT,) for response in responses)


class Evaluations:
    """The evaluations of the items of one submission.

    Args:
        plugin: runs the tests.
        assignment: the rubric.
        work: the submission, after its cells have run.
        states: for the id of each judged item, the states to judge it in, in order.
        seed: decides the random inputs of all cases.
        trainings: how to train, for the items that are earned by training, by the item's id.

    Attributes:
        by_item: the evaluations so far, by the item's id.
        explained_by: the ids of the misconceptions that have explained items so far.

    Raises:
        AssignmentError: a test judges an item that does not exist, or an item has no test.
    """

    def __init__(
        self,
        plugin: RubricPlugin,
        assignment: Assignment,
        work: Work,
        states: Mapping[str, list[CandidateState]],
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
        self._plugin = plugin
        self._states = states
        self._seed = seed
        self._trainings = trainings
        self._limits = assignment.limits
        self._student: RecordingStudent | None = None
        # Whether the current evaluation used a process that other tests had used, or one with calls made ahead.
        self._used = False
        self._remarks: list[str] = []
        self._hung: set[tuple[str, int]] = set()
        self._searched: dict[tuple[str, ...], CandidateState | None] = {}

    def run(self) -> None:
        """Evaluate all items.

        Raises:
            AssignmentError: a test is broken.
        """
        for identifier in self._states:
            self._evaluate(self._items[identifier])

    def draw_for(self, identifier: str) -> Draw:
        """Return the source of random inputs for an item's cases."""
        return Draw(f"{self._seed}\n{identifier}")

    def functions(self, identifier: str) -> dict[str, Callable[..., None]]:
        """Return the test functions of an item by name."""
        return {get_test_name(test): test.obj for test in self._plugin.tests[identifier]}

    def _evaluate(self, item: Item) -> None:
        for state in self._states[item.id]:
            definition = state.definition
            # Do not let every item wait for a call that hangs at the end of the notebook: after the first one, evaluate
            # that definition only as it stood when it was made.
            if definition and definition.at_end and (definition.file, definition.cell) in self._hung:
                continue
            # A search opens many states, so its result, or that it found nothing, holds for later items too.
            if state.found_as and self._searched.get(item.names, state) != state:
                continue
            evaluation = self._evaluate_in(state, item, shared=not item.recipes)
            if self._used and not evaluation.passed and state.found_as is None:
                # An earlier test may have left something behind in the process: try again in a fresh one.
                evaluation = self._evaluate_in(state, item, shared=False)
            self.by_item[item.id].append(evaluation)
            if definition and definition.at_end and evaluation.hung:
                self._hung.add((definition.file, definition.cell))
            if evaluation.passed or self._has_enough(item):
                break
        if any(state.found_as for state in self._states[item.id]):
            last = self.by_item[item.id][-1:]
            succeeded = bool(last) and (last[0].passed or last[0].pending is not None)
            self._searched.setdefault(item.names, last[0].state if succeeded else None)

    def _evaluate_in(self, state: CandidateState, item: Item, shared: bool) -> ItemEvaluation:
        """Run the tests of an item in one state."""
        self._used = False
        outcomes: dict[str, TestOutcome] = {}
        responses: dict[str, Sequence[Any]] = {}
        context = TestContext(
            student=lambda: self._open(item, state, shared),
            draw=lambda: self.draw_for(item.id),
            remark=self._remarks.append,
            training=self._trainings.get(item.id),
        )
        for test in self._plugin.tests[item.id]:
            self._student = None
            self._remarks.clear()
            outcome = self._plugin.run(test, context, item.visible)
            outcomes[get_test_name(test)] = replace(outcome, remarks=tuple(self._remarks))
            responses[get_test_name(test)] = self._student.responses if self._student else ()
        return ItemEvaluation(state, outcomes, responses)

    @contextmanager
    def _open(self, item: Item, state: CandidateState, shared: bool) -> Iterator[Student]:
        seconds = self._limits.training_seconds if item.recipes else None
        with self.work.open(state.definition, state.aliases or None, seconds, shared=shared) as student:
            self._student = RecordingStudent(student)
            try:
                yield self._student
            finally:
                self._used = self._used or student.used

    def _has_enough(self, item: Item) -> bool:
        """Tell whether an item that is earned by training needs no further state."""
        pending = [evaluation.pending for evaluation in self.by_item[item.id] if evaluation.pending is not None]
        models = [reason for reason in pending if isinstance(reason, ToTrain)]
        # Nothing is trained at all, or the model is the textbook's, which no other model can better.
        done = any(type(reason) is Pending for reason in pending) or any(not model.departs for model in models)
        return done or len({model.graph.key for model in models}) >= _MOST_GRAPHS

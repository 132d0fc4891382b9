"""The pytest plugin that runs an assignment's tests against one submission."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import pytest

from grader.assignment import Assignment, Item
from grader.errors import AssignmentError, GraderError
from grader.report import Verdict
from grader.student import Definition, Fault, Student, Work
from grader.testing.answers import Listener
from grader.testing.arguments import Argument
from grader.testing.cases import Draw
from grader.testing.learning import Training
from grader.testing.outcome import Outcome, Pending, ToTrain, outcome_of

__all__ = ["Opening", "RubricPlugin", "Trial", "item"]


_MOST_GRAPHS = 4  # different models that one item has trained

Test = TypeVar("Test", bound=Callable[..., None])


def item(identifier: str, arguments: Sequence[Argument] = ()) -> Callable[[Test], Test]:
    """Say which item of rubric.toml a test judges; where several tests judge one item, all must pass.

    Args:
        identifier: the item's id.
        arguments: what the test can call the student's work with; where the item has `search`, what requires
            nothing else is tried.
    """

    def decorate(test: Test) -> Test:
        # An attribute, not a pytest mark: marks are checked against the configuration of whichever pytest runs outside.
        test.__dict__["item"] = identifier
        test.__dict__["filled_in"] = tuple(name for argument in arguments for name in argument.names)
        return test

    return decorate


@dataclass(frozen=True)
class Opening:
    """One state of the student's notebook to judge; `found_as` is the student's own name for what was searched."""

    definition: Definition | None
    aliases: Mapping[str, str] = field(default_factory=dict)
    found_as: str | None = None


@dataclass(frozen=True)
class Trial:
    """What the tests of one item came to in one state, and what the student's work answered them."""

    opening: Opening
    outcomes: Mapping[str, Outcome]
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


class RubricModule(pytest.Module):
    """A test module that is loaded already."""

    loaded: ModuleType

    def _getobj(self) -> ModuleType:
        return self.loaded


class RubricPlugin:
    """Collects an assignment's tests and tries each item in each of its openings, until one passes.

    Args:
        modules: the loaded test modules by path.
        openings: for the id of each item that is judged the states to judge it in, in order.
        seed: what the cases are drawn from.
        trainings: what the tests of items that are earned by training are told, by the item's id.

    Attributes:
        trials: for each item's id what was tried.
        named: the misconceptions that explained items so far.
        finished: whether everything was tried.
        error: what kept it from that.
    """

    def __init__(
        self,
        assignment: Assignment,
        work: Work,
        modules: Mapping[Path, ModuleType],
        openings: Mapping[str, list[Opening]],
        seed: str,
        trainings: Mapping[str, Training],
    ) -> None:
        self.items = {each.id: each for each in assignment.items if not each.by_person}
        self.work = work
        self.modules = modules
        self.openings = openings
        self.seed = seed
        self.trainings = trainings
        self.limits = assignment.limits
        self.trials: dict[str, list[Trial]] = {identifier: [] for identifier in self.items}
        self.named: list[str] = []
        self.finished = False
        self.error: BaseException | None = None
        self._tests: dict[tuple[str, int], list[pytest.Function]] = {}
        self._listener: Listener | None = None
        self._shared = False  # whether the test that runs may ask a process that others have asked
        self._used = False  # whether one did since the trial began
        self._remarks: list[str] = []
        self._hung: set[tuple[str, int]] = set()
        self._searched: dict[tuple[str, ...], Opening | None] = {}

    @pytest.fixture
    def student(self, request: pytest.FixtureRequest) -> Iterator[Student]:
        identifier = _item_id(request.node)
        opening = self.openings[identifier][request.param]
        seconds = self.limits.training_seconds if self.items[identifier].recipes else None
        opened = self.work.open(opening.definition, opening.aliases or None, seconds, shared=self._shared)
        with opened as student:
            self._used = self._used or student.used
            self._listener = Listener(student)
            yield self._listener

    @pytest.fixture
    def draw(self, request: pytest.FixtureRequest) -> Draw:
        return self.draw_for(_item_id(request.node))

    @pytest.fixture
    def remark(self) -> Callable[[str], None]:
        return self._remarks.append

    @pytest.fixture
    def training(self, request: pytest.FixtureRequest) -> Training:
        identifier = _item_id(request.node)
        if identifier not in self.trainings:
            raise AssignmentError(f"{_place(request.node)} asks for `training`: give its item recipes in rubric.toml")
        return self.trainings[identifier]

    def draw_for(self, identifier: str) -> Draw:
        """Return what an item's cases are drawn from."""
        return Draw(f"{self.seed}\n{identifier}")

    def functions(self, identifier: str) -> dict[str, Callable[..., None]]:
        """Return the test functions of an item by name."""
        return {_name(test): test.obj for test in self._tests[identifier, 0]}

    def pytest_pycollect_makemodule(self, module_path: Path, parent: pytest.Collector) -> pytest.Module:
        module: RubricModule = RubricModule.from_parent(parent, path=module_path)
        module.loaded = self.modules[module_path]
        return module

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "student" in metafunc.fixturenames:
            # At least one, so that a missing or misnamed test is noticed whatever the submission is.
            count = len(self.openings.get(_item_id(metafunc.definition), ())) or 1
            metafunc.parametrize("student", range(count), indirect=True)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            raise AssignmentError(f"{report.nodeid} cannot be collected: {report.longreprtext.strip()}")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for function in items:
            identifier = _item_id(function)
            if not identifier:
                raise AssignmentError(f"{_place(function)} judges no item: mark it with @item(...)")
            if identifier not in self.items:
                raise AssignmentError(f"{_place(function)} judges {identifier!r}: rubric.toml has no such item")
            if not isinstance(function, pytest.Function) or "student" not in function.fixturenames:
                raise AssignmentError(f"{_place(function)} does not ask for `student`: it can judge nothing")
            number = function.callspec.params["student"]
            assert isinstance(number, int)
            self._tests.setdefault((identifier, number), []).append(function)
        for identifier in self.items:
            if (identifier, 0) not in self._tests:
                raise AssignmentError(f"item {identifier!r} has no test: mark one with @item({identifier!r})")

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        for identifier in self.openings:
            self._try(self.items[identifier])
        self.finished = True
        return True

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> bool:
        self.error = excinfo.value
        return True

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self.error = excinfo.value

    def _try(self, each: Item) -> None:
        for number, opening in enumerate(self.openings[each.id]):
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
            self.trials[each.id].append(trial)
            if where and where.at_end and trial.hung:
                self._hung.add((where.file, where.cell))
            if trial.passed or self._enough(each):
                break
        if any(opening.found_as for opening in self.openings[each.id]):
            last = self.trials[each.id][-1:]
            found = bool(last) and (last[0].passed or last[0].pending is not None)
            self._searched.setdefault(each.names, last[0].opening if found else None)

    def _trial(self, each: Item, number: int, shared: bool) -> Trial:
        """Run the tests of an item in one of its openings."""
        self._shared, self._used = shared, False
        outcomes: dict[str, Outcome] = {}
        answers: dict[str, Sequence[Any]] = {}
        for test in self._tests[each.id, number]:
            self._listener = None
            self._remarks.clear()
            outcome = _run(test, each.visible)
            outcomes[_name(test)] = replace(outcome, remarks=tuple(self._remarks))
            answers[_name(test)] = self._listener.answers if self._listener else ()
        return Trial(self.openings[each.id][number], outcomes, answers)

    def _enough(self, each: Item) -> bool:
        """Tell whether no further definition of a trained item is needed: there are enough, or nothing is trained."""
        pending = [trial.pending for trial in self.trials[each.id] if trial.pending is not None]
        models = [waiting for waiting in pending if isinstance(waiting, ToTrain)]
        # The textbook's model learns, so nothing better can follow.
        done = any(type(waiting) is Pending for waiting in pending) or any(not model.departs for model in models)
        return done or len({model.graph.key for model in models}) >= _MOST_GRAPHS


def _run(test: pytest.Function, visible: bool) -> Outcome:
    hooks = test.ihook
    test._initrequest()  # as pytest's own loop does: a test that runs once more opens the student's work once more
    try:
        try:
            hooks.pytest_runtest_setup(item=test)
            hooks.pytest_runtest_call(item=test)
        finally:
            hooks.pytest_runtest_teardown(item=test, nextitem=None)
    except (GraderError, OSError, MemoryError):
        raise
    except (Exception, pytest.skip.Exception, pytest.fail.Exception) as error:
        outcome = outcome_of(error, visible) if isinstance(error, Exception) else None
        if outcome is None:
            what = f"{type(error).__name__}: {error}"
            raise AssignmentError(f"{_place(test)} broke, which no submission should make it do: {what}") from error
        return outcome
    return Outcome(Verdict.PASSED, right=1)


def _item_id(node: pytest.Item) -> str:
    return str(getattr(node.function, "item", "")) if isinstance(node, pytest.Function) else ""


def _place(node: pytest.Item) -> str:
    return f"{node.path.name}, {_name(node)}"


def _name(node: pytest.Item) -> str:
    return str(getattr(node, "originalname", None) or node.name)

"""The pytest plugin that collects an assignment's tests once, and runs them one by one for many submissions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from grader.errors import AssignmentError, GraderError, SystemFault
from grader.judging.broken_test import TooLong, describe_broken
from grader.judging.interruption import limit_computing
from grader.judging.outcome import TestOutcome, interpret_exception
from grader.judging.pytest_internals import UNUSED_PLUGINS, prepare_for_rerun
from grader.results.report import Verdict
from grader.student import Student
from grader.testing.cases import Draw, WrongCases
from grader.testing.failures import Overtime
from grader.testing.learning import Training

__all__ = ["RubricPlugin", "TestContext", "get_test_name", "locate_test"]


@dataclass(frozen=True)
class TestContext:
    """The values of a test's fixtures while it runs.

    Args:
        student: opens the state to judge.
        draw: returns the source of the cases' random inputs.
        remark: takes a remark that costs no points.
        seconds: how long the test may compute itself, besides the time that it waits for the student's code.
        training: how to train, for the test of an item that is earned by training.
    """

    student: Callable[[], AbstractContextManager[Student]]
    draw: Callable[[], Draw]
    remark: Callable[[str], None]
    seconds: float
    training: Training | None = None


class RubricPlugin:
    """Collects an assignment's tests when it is created, and runs them for one submission after another.

    Collecting takes longer than running the tests of a small submission, so pytest collects once for each rubric.

    Args:
        folder: the assignment's folder.
        modules: the loaded test modules by path.

    Attributes:
        tests: the tests of each item, by the item's id.

    Raises:
        AssignmentError: a test cannot be collected, or cannot judge anything.
        SystemFault: pytest stopped before it finished.
    """

    def __init__(self, folder: Path, modules: Mapping[Path, ModuleType]) -> None:
        self.modules = modules
        self.tests: dict[str, list[pytest.Function]] = {}
        self._error: BaseException | None = None
        self._finished = False
        self._current: TestContext | None = None
        arguments = [
            *map(str, modules),
            *("--rootdir", str(folder), "--confcutdir", str(folder), "-c", os.devnull, "--noconftest"),
            *("--import-mode=importlib", "--disable-plugin-autoload"),
            *(argument for name in UNUSED_PLUGINS for argument in ("-p", f"no:{name}")),
        ]
        code = pytest.main(arguments, plugins=[self])
        if self._error is not None:
            raise self._error
        if not self._finished:
            raise SystemFault(f"pytest ended with {code} before it had collected the rubric")

    def run(self, test: pytest.Function, context: TestContext, visible: bool) -> TestOutcome:
        """Run a test and return its outcome, which may be that the test itself broke.

        Args:
            test: one of `tests`.
            context: the values of its fixtures.
            visible: whether the outcome may show inputs and expected values.

        Raises:
            AssignmentError: the test asks for a fixture that does not exist.
            SystemFault: the grader or the machine failed.
        """
        self._current = context
        hooks = test.ihook
        try:
            try:
                with limit_computing(context.seconds):
                    hooks.pytest_runtest_setup(item=test)
                    hooks.pytest_runtest_call(item=test)
            finally:
                hooks.pytest_runtest_teardown(item=test, nextitem=None)
        except GraderError:
            raise
        except pytest.FixtureLookupError as error:
            raise AssignmentError(
                f"{locate_test(test)} asks for something else than fixtures: {error.argname}"
            ) from error
        except Overtime:
            return self._break(test, TooLong(f"the test computes for more than {context.seconds:g} s"))
        except (Exception, pytest.skip.Exception, pytest.fail.Exception) as error:
            return interpret_exception(error, visible) or self._break(test, error)
        finally:
            self._current = None
            prepare_for_rerun(test)
        return TestOutcome(Verdict.PASSED, right=1)

    def _break(self, test: pytest.Function, error: BaseException) -> TestOutcome:
        right, total = (error.right, error.total) if isinstance(error, WrongCases) else (0, 1)
        broken = describe_broken(error, test.path, get_test_name(test))
        return TestOutcome(Verdict.FAILED, f"the test broke: {broken.error}", right, total, broken=broken)

    @pytest.fixture
    def student(self) -> Iterator[Student]:
        with self._context().student() as student:
            yield student

    @pytest.fixture
    def draw(self) -> Draw:
        return self._context().draw()

    @pytest.fixture
    def remark(self) -> Callable[[str], None]:
        return self._context().remark

    @pytest.fixture
    def training(self, request: pytest.FixtureRequest) -> Training:
        training = self._context().training
        if training is None:
            raise AssignmentError(
                f"{locate_test(request.node)} asks for `training`: give its item recipes in rubric.toml"
            )
        return training

    def _context(self) -> TestContext:
        assert self._current is not None
        return self._current

    def pytest_pycollect_makemodule(self, module_path: Path, parent: pytest.Collector) -> pytest.Module:
        module: pytest.Module = pytest.Module.from_parent(parent, path=module_path)
        module.obj = self.modules[module_path]  # already imported
        return module

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            raise AssignmentError(f"{report.nodeid} cannot be collected: {report.longreprtext.strip()}")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for function in items:
            identifier = str(getattr(function.function, "item", "")) if isinstance(function, pytest.Function) else ""
            if not identifier:
                raise AssignmentError(f"{locate_test(function)} judges no item: mark it with @item(...)")
            if not isinstance(function, pytest.Function) or "student" not in function.fixturenames:
                raise AssignmentError(f"{locate_test(function)} does not ask for `student`: it can judge nothing")
            self.tests.setdefault(identifier, []).append(function)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._finished = True  # tests are not run here: `run` is called later, for each submission
        return True

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> bool:
        self._error = excinfo.value
        return True

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self._error = excinfo.value


def locate_test(node: pytest.Item) -> str:
    """Return a test's file and name, for a message to its author."""
    return f"{node.path.name}, {get_test_name(node)}"


def get_test_name(node: pytest.Item) -> str:
    """Return a test's name as its author wrote it."""
    return str(getattr(node, "originalname", None) or node.name)

"""The pytest plugin that collects an assignment's tests, once for many submissions, and runs them one by one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from _pytest.config import default_plugins

from grader.errors import AssignmentError, GraderError, SystemFault
from grader.judging.outcome import TestOutcome, interpret_exception
from grader.results.report import Verdict
from grader.student import Student
from grader.testing.cases import Draw
from grader.testing.learning import Training

__all__ = ["RubricPlugin", "TestContext", "get_test_name", "locate_test"]

# Of pytest only what collects and calls; what pytest adds in a later version is not wanted either.
_UNUSED = sorted(set(default_plugins) - {"fixtures", "helpconfig", "main", "mark", "python", "runner"})


@dataclass(frozen=True)
class TestContext:
    """What a test is given while it runs.

    Args:
        student: opens the state that is judged.
        draw: gives what the cases are drawn from.
        remark: takes what the test has to say that costs nothing.
        training: what a test of an item that is earned by training is told.
    """

    student: Callable[[], AbstractContextManager[Student]]
    draw: Callable[[], Draw]
    remark: Callable[[str], None]
    training: Training | None = None


class RubricModule(pytest.Module):
    """A test module that is loaded already."""

    loaded: ModuleType

    def _getobj(self) -> ModuleType:
        return self.loaded


class RubricPlugin:
    """Collects an assignment's tests when it is made, and runs them for one submission after the other.

    Collecting costs more than running the tests of a small submission: pytest does it once for each rubric.

    Args:
        folder: the assignment's.
        modules: the loaded test modules by path.

    Attributes:
        tests: those of each item, by its id.

    Raises:
        AssignmentError: a test cannot be collected, or can judge nothing.
        SystemFault: pytest did not come to its end.
    """

    def __init__(self, folder: Path, modules: Mapping[Path, ModuleType]) -> None:
        self.modules = modules
        self.tests: dict[str, list[pytest.Function]] = {}
        self._error: BaseException | None = None
        self._finished = False
        self._given: TestContext | None = None
        arguments = [
            *map(str, modules),
            *("--rootdir", str(folder), "--confcutdir", str(folder), "-c", os.devnull, "--noconftest"),
            *("--import-mode=importlib", "--disable-plugin-autoload"),
            *(part for name in _UNUSED for part in ("-p", f"no:{name}")),
        ]
        code = pytest.main(arguments, plugins=[self])
        if self._error is not None:
            raise self._error
        if not self._finished:
            raise SystemFault(f"pytest ended with {code} before it had collected the rubric")

    def run(self, test: pytest.Function, given: TestContext, visible: bool) -> TestOutcome:
        """Run a test and return what it came to.

        Args:
            test: one of `tests`.
            given: what it is given.
            visible: whether the outcome may show inputs and expected values.

        Raises:
            AssignmentError: the test broke.
            GraderError, OSError, MemoryError: we broke.
        """
        self._given = given
        hooks = test.ihook
        try:
            try:
                hooks.pytest_runtest_setup(item=test)
                hooks.pytest_runtest_call(item=test)
            finally:
                hooks.pytest_runtest_teardown(item=test, nextitem=None)
        except (GraderError, OSError, MemoryError):
            raise
        except (Exception, pytest.skip.Exception, pytest.fail.Exception) as error:
            outcome = interpret_exception(error, visible) if isinstance(error, Exception) else None
            if outcome is None:
                what = f"broke, which no submission should make it do: {type(error).__name__}: {error}"
                raise AssignmentError(f"{locate_test(test)} {what}") from error
            return outcome
        finally:
            self._given = None
            test._initrequest()  # what it was given is let go of, and opened anew where it runs once more
        return TestOutcome(Verdict.PASSED, right=1)

    @pytest.fixture
    def student(self) -> Iterator[Student]:
        with self._asked().student() as student:
            yield student

    @pytest.fixture
    def draw(self) -> Draw:
        return self._asked().draw()

    @pytest.fixture
    def remark(self) -> Callable[[str], None]:
        return self._asked().remark

    @pytest.fixture
    def training(self, request: pytest.FixtureRequest) -> Training:
        training = self._asked().training
        if training is None:
            raise AssignmentError(
                f"{locate_test(request.node)} asks for `training`: give its item recipes in rubric.toml"
            )
        return training

    def _asked(self) -> TestContext:
        assert self._given is not None
        return self._given

    def pytest_pycollect_makemodule(self, module_path: Path, parent: pytest.Collector) -> pytest.Module:
        module: RubricModule = RubricModule.from_parent(parent, path=module_path)
        module.loaded = self.modules[module_path]
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
        self._finished = True  # nothing is run here: `run` does, when there is a submission
        return True

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> bool:
        self._error = excinfo.value
        return True

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self._error = excinfo.value


def locate_test(node: pytest.Item) -> str:
    """Return where a test stands, for its author."""
    return f"{node.path.name}, {get_test_name(node)}"


def get_test_name(node: pytest.Item) -> str:
    """Return a test's name as its author wrote it."""
    return str(getattr(node, "originalname", None) or node.name)

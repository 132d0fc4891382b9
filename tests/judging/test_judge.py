"""A submission is judged item by item, with the tests of a rubric."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from grader.assignment import load_assignment
from grader.errors import AssignmentError, SandboxFault
from grader.judging.judge import judge
from grader.results.report import ItemResult, Verdict
from grader.student import Definition, Student
from tests.support.in_process_work import InProcessWork

DOUBLE = """
    from grader.testing import Absent, Argument, Case, Mismatch, assert_close, given, item

    def numbers(draw):
        for number in range(5):
            yield Case(f"the number {number}", number=float(number))

    @item("double", (Argument(1.0, ("x",)),))
    @given(numbers)
    def test_double(student, case):
        assert_close(student.double(case.number), 2 * case.number)
"""

Judge = Callable[..., ItemResult]


def rubric(folder: Path, *tests: str, item: str = 'names = ["double"]') -> Path:
    (folder / "rubric.toml").write_text(
        f'title = "T"\npoints = 3\n[sections]\n1 = "One"\n'
        f'[[items]]\nid = "double"\nsection = "1"\ntitle = "Doubles"\npoints = 3\n{item}\n'
    )
    for number, source in enumerate(tests):
        (folder / f"test_{number}.py").write_text(dedent(source))
    return folder


@pytest.fixture
def judged(tmp_path: Path) -> Judge:
    """Judge cells by the rubric above, or by one with other tests or another item."""

    def run(*cells: str, tests: tuple[str, ...] = (DOUBLE,), item: str = 'names = ["double"]') -> ItemResult:
        assignment = load_assignment(rubric(tmp_path, *tests, item=item))
        (result,) = judge(assignment, InProcessWork(*cells), "a submission")
        json.dumps(dict(result.evidence), allow_nan=False)
        return result

    return run


def test_a_right_definition_passes_where_it_was_made(judged: Judge) -> None:
    result = judged("x = 1", "def double(x): return 2 * x")
    assert (result.verdict, result.points, result.file, result.cell) == (Verdict.PASSED, 3, "homework.ipynb", 1)


def test_a_wrong_definition_fails_with_its_first_wrong_case(judged: Judge) -> None:
    result = judged("def double(x): return x * x")
    assert (result.verdict, result.points, result.cell) == (Verdict.FAILED, 0, 0)
    assert result.message == "wrong in 3 of 5 cases, first with the number 1: expected 2, found 1"
    assert result.evidence["inputs"] == {"number": 1.0}
    assert result.evidence["cases"] == {"right": 2, "total": 5}


def test_a_function_that_raises_is_an_error_with_its_own_words(judged: Judge) -> None:
    result = judged("def double(x): return 1 / x * 2 * x * x")
    assert result.verdict is Verdict.ERROR
    assert result.message.endswith("first with the number 0: raises ZeroDivisionError: float division by zero")


def test_changing_an_argument_in_place_is_a_failure(judged: Judge) -> None:
    test = """
        import torch
        from grader.testing import assert_close, item

        @item("double")
        def test_double(student):
            assert_close(student.double(torch.ones(2)), torch.ones(2) * 2)
    """
    result = judged("def double(x): return x.mul_(2)", tests=(test,))
    assert (result.verdict, result.message) == (Verdict.FAILED, "changes the tensor it is given; work on a copy")


def test_what_is_not_defined_is_absent(judged: Judge) -> None:
    result = judged("x = 1")
    assert (result.verdict, result.message) == (Verdict.ABSENT, "double is not defined in this submission")
    assert (result.file, result.cell) == (None, None)
    assert (result.tests, result.misconception) == ({}, None)


def test_what_is_merely_imported_is_absent(judged: Judge) -> None:
    result = judged("from operator import neg as double\ndouble.__module__", "from math import sqrt as double")
    assert (result.verdict, result.message) == (Verdict.ABSENT, "double is imported from math, not written here")


def test_the_best_of_several_definitions_counts(judged: Judge) -> None:
    cells = ("def double(x): return x", "def double(x): return 2 * x", "def double(x): raise ValueError")
    result = judged(*cells)
    assert (result.verdict, result.cell) == (Verdict.PASSED, 1)
    assert result.tests == {"test_double": Verdict.PASSED}  # of the state that counted


def test_among_equally_wrong_definitions_the_last_one_counts(judged: Judge) -> None:
    result = judged("def double(x): raise ValueError", "def double(x): return x")
    assert (result.verdict, result.cell) == (Verdict.FAILED, 1)


def test_a_definition_that_crashes_does_not_hide_a_right_one(judged: Judge) -> None:
    result = judged("def double(x): raise ValueError", "def double(x): return 2 * x")
    assert (result.verdict, result.cell) == (Verdict.PASSED, 1)


def test_what_a_name_is_built_on_may_be_fixed_later(judged: Judge) -> None:
    cells = ("def helper(x): return x", "def double(x): return helper(x)", "def helper(x): return 2 * x")
    result = judged(*cells, item='names = ["double", "helper"]')
    assert (result.verdict, result.cell) == (Verdict.PASSED, 1)  # the place of `double` itself
    assert judged(cells[0], item='names = ["double", "helper"]').verdict is Verdict.ABSENT


def test_nothing_is_opened_after_a_full_pass(tmp_path: Path) -> None:
    work = InProcessWork("def double(x): return 2 * x", "def double(x): return x")
    judge(load_assignment(rubric(tmp_path, DOUBLE)), work, "a submission")
    assert work.opened == 1


def test_some_right_cases_earn_some_points_where_the_item_says_so(judged: Judge) -> None:
    result = judged("def double(x): return x * x", item='names = ["double"]\npartial = true')
    assert (result.verdict, result.points) == (Verdict.PARTIAL, 1.0)  # 3 points * 2 / 5, down to a quarter
    result = judged("def double(x): return x + 100", item='names = ["double"]\npartial = true')
    assert (result.verdict, result.points) == (Verdict.FAILED, 0)


def test_a_hidden_item_shows_neither_inputs_nor_expected_values(judged: Judge) -> None:
    hidden = 'names = ["double"]\nvisible = false'
    result = judged("def double(x): return x * x", item=hidden)
    assert (result.message, result.evidence) == ("does not give the right result in 3 of 5 cases", {})
    result = judged("def double(x): raise ValueError(f'secret {x}')", item=hidden)
    assert (result.message, result.evidence) == ("raises an exception in 5 of 5 cases", {})


def test_all_tests_of_an_item_must_pass(judged: Judge) -> None:
    other = """
        from grader.testing import Mismatch, item

        @item("double")
        def test_a_string(student):
            if student.double("a") != "aa":
                raise Mismatch("does not double a string")
    """
    result = judged("def double(x): return x + x", tests=(DOUBLE, other))
    assert result.verdict is Verdict.PASSED
    assert result.tests == {"test_double": Verdict.PASSED, "test_a_string": Verdict.PASSED}
    result = judged("def double(x): return x + x if x != 'a' else x", tests=(DOUBLE, other))
    assert (result.verdict, result.message) == (Verdict.FAILED, "does not double a string")
    assert result.tests == {"test_double": Verdict.PASSED, "test_a_string": Verdict.FAILED}


def test_a_test_may_say_that_the_work_is_absent(judged: Judge) -> None:
    test = """
        from grader.testing import Absent, item

        @item("double")
        def test_double(student):
            raise Absent("no doubling here")
    """
    result = judged("def double(x): return x", tests=(test,))
    assert (result.verdict, result.message) == (Verdict.ABSENT, "no doubling here")


def test_a_search_finds_what_goes_by_another_name(judged: Judge) -> None:
    search = 'names = ["double"]\nsearch = true'
    result = judged("def half(x): return x / 2", "def twice(x): return 2 * x", item=search)
    assert (result.verdict, result.message, result.cell) == (Verdict.PASSED, "found as twice in cell 2", 1)
    result = judged("def half(x): return x / 2", item=search)
    assert (result.verdict, result.message) == (Verdict.ABSENT, "double is not defined in this submission")
    result = judged("def double(x): return x", "def twice(x): return 2 * x", item=search)
    assert result.verdict is Verdict.FAILED


def test_a_search_tries_only_what_requires_nothing_else_than_the_tests_can_give(judged: Judge) -> None:
    search = 'names = ["double"]\nsearch = true'
    for cell in ("def twice(number): return 2 * number", "def twice(x, factor): return factor * x"):
        assert judged(cell, item=search).verdict is Verdict.ABSENT
    result = judged("def twice(X_, factor=2): return factor * X_", item=search)
    assert (result.verdict, result.message) == (Verdict.PASSED, "found as twice in cell 1")


def test_what_a_test_asks_for_besides_may_be_missing(judged: Judge) -> None:
    test = """
        from grader.testing import item

        @item("double")
        def test_double(student):
            student.triple(1)
    """
    result = judged("def double(x): return 2 * x", tests=(test,))
    assert (result.verdict, result.message) == (Verdict.ABSENT, "triple is not defined")


def test_why_an_item_is_lost_is_not_looked_for_if_it_is_judged_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[set[str]] = []
    monkeypatch.setattr("grader.judging.judge.explain", None)  # raises if it is called
    monkeypatch.setattr("grader.judging.judge.Causes", None)

    def are_judged_again(lost: Collection[str]) -> bool:
        asked.append(set(lost))
        return bool(lost)

    assignment = load_assignment(rubric(tmp_path, DOUBLE))
    for cell, verdict in (("def double(x): return 3 * x", Verdict.FAILED), ("pass", Verdict.ABSENT)):
        (result,) = judge(assignment, InProcessWork(cell), "a submission", are_judged_again=are_judged_again)
        assert (result.verdict, result.points, result.message) == (verdict, 0, "")
    monkeypatch.undo()
    right = InProcessWork("def double(x): return 2 * x")
    (result,) = judge(assignment, right, "a submission", are_judged_again=are_judged_again)
    assert result.verdict is Verdict.PASSED
    assert asked == [{"double"}, {"double"}, set()]


def test_two_runs_give_the_same_results(judged: Judge) -> None:
    cells = ("def double(x): return x * x", "def double(x): return object()")
    assert judged(*cells) == judged(*cells)


@pytest.mark.parametrize(
    ("tests", "message"),
    [
        (("def test_a(student): pass",), "test_0.py, test_a judges no item"),
        (
            (DOUBLE, "from grader.testing import item\n@item('dbl')\ndef test_a(student): pass"),
            "test_1.py, test_a judges 'dbl': rubric.toml has no such item",
        ),
        (("",), "item 'double' has no test"),
        (("def test_a(:",), "test_0.py, line 1 cannot be imported: SyntaxError: invalid syntax"),
        (("import nowhere",), "test_0.py cannot be imported: ModuleNotFoundError: No module named 'nowhere'"),
        (("from grader.testing import item\n@item('double')\ndef test_a(): pass",), "does not ask for `student`"),
        (("from grader.testing import item\n@item('double')\ndef test_a(student, unknown): pass",), "unknown"),
    ],
)
def test_a_mistake_of_the_author_is_no_verdict(judged: Judge, tests: tuple[str, ...], message: str) -> None:
    with pytest.raises(AssignmentError, match=message.replace("(", r"\(")):
        judged("def double(x): return 2 * x", tests=tests)


def test_an_item_without_a_test_is_noticed_though_the_submission_is_empty(judged: Judge) -> None:
    with pytest.raises(AssignmentError, match="item 'double' has no test"):
        judged(tests=("",))


def test_a_rubric_that_changed_since_it_was_loaded_is_refused(tmp_path: Path) -> None:
    assignment = load_assignment(rubric(tmp_path, DOUBLE))
    (tmp_path / "test_0.py").write_text("")
    with pytest.raises(AssignmentError, match="has changed since it was loaded"):
        judge(assignment, InProcessWork(), "a submission")


def test_a_changed_rubric_is_loaded_anew(judged: Judge) -> None:
    assert judged("def double(x): return 2 * x").verdict is Verdict.PASSED
    tripled = DOUBLE.replace("2 * case.number", "3 * case.number")
    assert judged("def double(x): return 2 * x", tests=(tripled,)).verdict is Verdict.FAILED


class BrokenWork(InProcessWork):
    """Its sandbox breaks when a state is opened."""

    @contextmanager
    def open(  # type: ignore[override]
        self,
        definition: Definition | None,
        aliases: Mapping[str, str] | None = None,
        seconds: float | None = None,
        *,
        shared: bool = False,
        at_most: float | None = None,
    ) -> Iterator[Student]:
        raise SandboxFault("the fork failed")
        yield


class InterruptedWork(InProcessWork):
    """Somebody presses Ctrl-C meanwhile."""

    @contextmanager
    def open(  # type: ignore[override]
        self,
        definition: Definition | None,
        aliases: Mapping[str, str] | None = None,
        seconds: float | None = None,
        *,
        shared: bool = False,
        at_most: float | None = None,
    ) -> Iterator[Student]:
        raise KeyboardInterrupt
        yield


def test_a_fault_of_ours_is_raised_and_no_verdict(tmp_path: Path) -> None:
    assignment = load_assignment(rubric(tmp_path, DOUBLE))
    with pytest.raises(SandboxFault, match="the fork failed"):
        judge(assignment, BrokenWork("def double(x): return x"), "a submission")
    with pytest.raises(KeyboardInterrupt):
        judge(assignment, InterruptedWork("def double(x): return x"), "a submission")


class InterruptedAtTheEnd(InProcessWork):
    """Somebody presses Ctrl-C while a state is closed."""

    @contextmanager
    def open(  # type: ignore[override]
        self,
        definition: Definition | None,
        aliases: Mapping[str, str] | None = None,
        seconds: float | None = None,
        *,
        shared: bool = False,
        at_most: float | None = None,
    ) -> Iterator[Student]:
        with super().open(definition, aliases, seconds, shared=shared) as student:
            yield student
        raise KeyboardInterrupt


def test_an_interrupted_test_does_not_touch_the_next_submission(tmp_path: Path) -> None:
    triple = '\n[[items]]\nid = "triple"\nsection = "1"\ntitle = "Triples"\npoints = 3\nnames = ["triple"]'
    rubric(
        tmp_path, DOUBLE, DOUBLE.replace("double", "triple").replace("2 *", "3 *"), item='names = ["double"]' + triple
    )
    declared = (tmp_path / "rubric.toml").read_text()
    (tmp_path / "rubric.toml").write_text(declared.replace("points = 3", "points = 6", 1))
    assignment = load_assignment(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        judge(assignment, InterruptedAtTheEnd("def double(x): return 2 * x"), "a submission", {"double"})
    (result,) = judge(assignment, InProcessWork("def triple(x): return 3 * x"), "a submission", {"triple"})
    assert result.verdict is Verdict.PASSED


def test_a_rubric_is_collected_once_for_all_submissions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collect, started = pytest.main, []

    def counted(*given: Any, **named: Any) -> Any:
        started.append(given)
        return collect(*given, **named)

    monkeypatch.setattr("pytest.main", counted)
    assignment = load_assignment(rubric(tmp_path, DOUBLE))
    for factor, verdict in ((2, Verdict.PASSED), (3, Verdict.FAILED), (2, Verdict.PASSED)):
        (result,) = judge(assignment, InProcessWork(f"def double(x): return {factor} * x"), "a submission")
        assert result.verdict is verdict
    assert len(started) == 1


def test_neither_the_callers_pytest_nor_a_conftest_has_a_say(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "conftest.py").write_text("raise RuntimeError")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --nonsense\n")
    assignment = load_assignment(rubric(tmp_path, DOUBLE.replace("return", "print('noise'); return")))
    os.environ["PYTEST_ADDOPTS"] = "--collect-only -k nothing"
    try:
        (result,) = judge(assignment, InProcessWork("def double(x): return 2 * x"), "a submission")
        assert os.environ["PYTEST_ADDOPTS"] == "--collect-only -k nothing"
    finally:
        del os.environ["PYTEST_ADDOPTS"]
    assert result.verdict is Verdict.PASSED
    assert capfd.readouterr().out == ""


def test_what_never_ends_takes_no_time_from_what_does(tmp_path: Path) -> None:
    (tmp_path / "rubric.toml").write_text(
        'title = "T"\npoints = 3\n[sections]\n1 = "One"\n'
        + "".join(
            f'[[items]]\nid = "{name}"\nsection = "1"\ntitle = "T"\npoints = 1\nnames = [{names}]\n'
            for name, names in {"double": '"double"', "again": '"again", "double"', "single": '"single"'}.items()
        )
    )
    test = "".join(
        f"@item('{name}')\ndef test_{name}(student):\n    student.{name}(1)\n    assert student.single(1) == 1\n"
        for name in ("double", "again", "single")
    )
    (tmp_path / "test_all.py").write_text(f"from grader.testing import item\n{test}")
    opened: list[str] = []

    class Slow(InProcessWork):
        def open(self, definition: Any, *args: Any, **options: Any) -> Any:
            opened.append(", ".join(sorted(definition.names)))
            return super().open(definition, *args, **options)

    work = Slow(
        "from grader.student import Fault, StudentFault",
        "def double(x): raise StudentFault(Fault.TIMED_OUT, 'did not end within 1 s')",
        "def again(x): return double(x)",
        "def single(x): return x",
    )
    results = judge(load_assignment(tmp_path), work, "a submission")
    assert [result.verdict for result in results] == [Verdict.ERROR, Verdict.ERROR, Verdict.PASSED]
    assert opened[:2] == ["double", "single"]

"""When a test breaks, the answer or the test is to blame, and never another submission."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from grader.assignment import load_assignment
from grader.errors import RubricFault, SystemFault
from grader.judging.judge import judge
from grader.judging.local import LocalWork
from grader.judging.solution import Solution
from grader.results.report import ItemResult, Verdict
from tests.support.in_process_work import InProcessWork

RIGHT = """
    import torch

    def halves(X):
        return X[:2], X[2:]

    def scale(x):
        return 2.0 * x
"""
TEST = """
    import math
    import torch
    from grader.testing import Case, Mismatch, assert_close, given, item

    def vectors(draw):
        yield Case("four numbers", X=draw.normal(4))
        yield Case("two numbers", X=draw.normal(2))

    {asks}
"""
HALVES = """
    @item("it")
    @given(vectors)
    def test_halves(student, case):
        first, second = student.halves(case.X)
        assert_close(first, case.X[:2])
        assert_close(second, case.X[2:])
"""
Judge = Callable[..., ItemResult]


@pytest.fixture
def judged(tmp_path: Path) -> Judge:
    """Judge cells by a rubric with one item."""

    def run(
        *cells: str, asks: str = HALVES, name: str = "halves", solution: str | None = RIGHT, options: str = ""
    ) -> ItemResult:
        reference = "" if solution is None else 'reference = "answers"'
        names = f'names = ["{name}"]' if name else ""
        (tmp_path / "rubric.toml").write_text(
            f'title = "T"\npoints = 4\n{reference}\n[sections]\n1 = "One"\n'
            f'[[items]]\nid = "it"\nsection = "1"\ntitle = "It"\npoints = 4\n{names}\n{options}\n'
            "[limits]\ntest_seconds = 0.3\n"
        )
        (tmp_path / "test_it.py").write_text(dedent(TEST).replace("{asks}", dedent(asks)))
        (tmp_path / "answers").mkdir(exist_ok=True)
        (tmp_path / "answers" / "all.py").write_text(dedent(solution or ""))
        (result,) = judge(load_assignment(tmp_path), InProcessWork(*cells), "a submission")
        json.dumps(dict(result.evidence), allow_nan=False)
        return result

    return run


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("pass", "halves returns nothing; two values are expected"),
        ("return [X, X, X]", "halves returns three values; two values are expected"),
        ("return 5", "halves returns a whole number; two values are expected"),
        ("return X[:1]", "halves returns a tensor of shape (1,); two values are expected"),
        ("return iter(X)", "halves returns an object; two values are expected"),
        ("return {'a': X}", "halves returns a dict with the keys a; two values are expected"),
    ],
)
def test_an_answer_of_another_kind_is_named_in_a_sentence(judged: Judge, body: str, message: str) -> None:
    result = judged(f"def halves(X): {body}")
    assert (result.verdict, result.points) == (Verdict.FAILED, 0)
    assert result.message == f"wrong in 2 of 2 cases, first with four numbers: {message}"


def test_cases_in_which_the_test_does_not_break_keep_their_share(judged: Judge) -> None:
    cell = "def halves(X): return (X[:2], X[2:]) if len(X) == 4 else None"
    result = judged(cell, options="partial = true")
    assert (result.verdict, result.points) == (Verdict.PARTIAL, 2)
    assert result.message.startswith("wrong in 1 of 2 cases, first with two numbers: halves returns nothing")


def test_a_hidden_item_tells_nothing_of_the_answer(judged: Judge) -> None:
    result = judged("def halves(X): pass", options="visible = false")
    assert (result.verdict, result.evidence) == (Verdict.FAILED, {})
    assert result.message == "does not give the right result in 2 of 2 cases"


def test_another_definition_that_is_right_counts(judged: Judge) -> None:
    cells = ("def halves(X): pass", "def halves(X): return X[:2], X[2:]", "def halves(X): return 1")
    assert judged(*cells).verdict is Verdict.PASSED


LOOP = """
    @item("it")
    def test_scale(student):
        left = student.scale(1.0)
        while left > 0:
            left -= 0.5
"""
ROOT = """
    @item("it")
    def test_scale(student):
        math.sqrt(student.scale(1.0))
"""


def test_a_test_that_an_answer_keeps_from_ending_is_ended(judged: Judge) -> None:
    result = judged("def scale(x): return float('inf')", asks=LOOP, name="scale")
    assert result.verdict is Verdict.FAILED
    assert result.message.startswith("scale returns something that the test cannot work with (TooLong: ")
    assert judged("def scale(x): return 2.0 * x", asks=LOOP, name="scale").verdict is Verdict.PASSED


def test_a_value_with_which_the_test_cannot_go_on_is_told(judged: Judge) -> None:
    result = judged("def scale(x): return -2.0 * x", asks=ROOT, name="scale")
    assert (result.verdict, result.points) == (Verdict.FAILED, 0)
    assert result.message.startswith("scale returns something that the test cannot work with (ValueError: ")


@pytest.mark.parametrize(
    ("raised", "is_told"),
    [
        ("KeyError('a')", True),
        ("IndexError", True),
        ("RecursionError", True),
        ("OverflowError", True),
        ("StopIteration", True),
        ("MemoryError", False),  # of numbers alone: the machine may be to blame
        ("OSError('no file')", False),
    ],
)
def test_whatever_a_test_raises_over_an_answer_concerns_the_answer(judged: Judge, raised: str, is_told: bool) -> None:
    asks = f"""
        @item("it")
        def test_scale(student):
            if student.scale(1.0) != 2.0:
                raise {raised}
    """
    if is_told:
        assert judged("def scale(x): return 3.0 * x", asks=asks, name="scale").verdict is Verdict.FAILED
    else:
        with pytest.raises((MemoryError, SystemFault)) as fault:
            judged("def scale(x): return 3.0 * x", asks=asks, name="scale")
        assert not isinstance(fault.value, RubricFault)  # so it is tried again
    assert judged("def scale(x): pass", asks=asks, name="scale").message == (
        "scale returns nothing; a number is expected"
    )


BROKEN = """
    @item("it")
    @given(vectors)
    def test_halves(student, case):
        student.halves(case.X)
        {}["no such key"]
"""
BROKEN_PLACE = r"a test of it broke: test_it\.py, line 15, test_halves, with four numbers: KeyError: 'no such key'"


def test_a_test_that_breaks_over_the_solution_too_is_for_staff(judged: Judge) -> None:
    with pytest.raises(RubricFault, match=rf"{BROKEN_PLACE} \(the model solution breaks it too\)"):
        judged("def halves(X): pass", asks=BROKEN)


def test_a_test_that_breaks_over_a_right_answer_is_for_staff(judged: Judge) -> None:
    asks = """
        runs = []

        @item("it")
        def test_halves(student):
            student.halves(torch.ones(4))
            runs.append(1)
            if len(runs) == 1:
                raise LookupError("only this once")
    """
    with pytest.raises(RubricFault, match=r"only this once \(the submission answers as the model solution does\)"):
        judged("def halves(X): return X[:2], X[2:]", asks=asks)


@pytest.mark.parametrize("solution", ["", "def other(): pass", "raise ValueError", "def halves(X): return 1"])
def test_a_solution_that_does_not_pass_the_test_blames_no_answer(judged: Judge, solution: str) -> None:
    with pytest.raises(RubricFault, match="a test of it broke"):
        judged("def halves(X): return 3", solution=solution)


def test_without_a_solution_only_nothing_is_blamed(judged: Judge) -> None:
    result = judged("def halves(X): pass", solution=None)
    assert result.verdict is Verdict.FAILED
    assert result.message.endswith("four numbers: halves returns nothing (does it return its result?)")
    with pytest.raises(RubricFault, match=r"TypeError: .* \(there is no model solution to compare with\)"):
        judged("def halves(X): return 5", solution=None)
    with pytest.raises(RubricFault, match="KeyError: 'no such key'"):
        judged("def halves(X): pass", asks=BROKEN, solution=None)


def test_the_reason_is_one_line_that_every_file_can_hold(judged: Judge) -> None:
    asks = """
        @item("it")
        def test_halves(student):
            raise ValueError(student.halves(1))
    """
    with pytest.raises(RubricFault) as fault:
        judged("def halves(X): return 'a' * 5000 + '\\n\\ud800\\x00\\x1b[31m'", asks=asks, solution=None)
    with pytest.raises(RubricFault, match="ValueError: b \u2400\ufffd"):
        judged("def halves(X): return 'b\\n\\x00\\ud800\\x1b[31m'", asks=asks, solution=None)
    message = str(fault.value)
    assert len(message) < 600
    assert message.encode().decode().isprintable()


@pytest.mark.parametrize("statement", ["pytest.skip('x')", "pytest.fail('x')", "1 / 0"])
def test_what_no_answer_causes_is_for_staff(judged: Judge, statement: str) -> None:
    asks = f"""
        import pytest

        @item("it")
        def test_halves(student):
            {statement}
    """
    with pytest.raises(RubricFault, match="a test of it broke"):
        judged("def halves(X): return 3", asks=asks)


def test_the_solution_is_asked_once_however_many_definitions_break_a_test(
    judged: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Solution] = []

    def make_work(solution: Solution) -> LocalWork:
        asked.append(solution)
        return LocalWork(solution)

    monkeypatch.setattr("grader.judging.blame.LocalWork", make_work)
    assert judged(*[f"def halves(X): return {number}" for number in range(9)]).verdict is Verdict.FAILED
    assert len(asked) == 1


def test_a_value_that_a_notebook_holds_may_break_a_test(judged: Judge) -> None:
    asks = """
        @item("it")
        def test_values(student):
            [record for record in student.recorded() if record.name == "n"][-1].value.item()
    """
    result = judged("import torch\nn = torch.ones(3)", asks=asks, name="", solution="import torch\nn = torch.ones(1)")
    assert result.verdict is Verdict.FAILED
    assert result.message.startswith("a value that the notebook holds or shows is none that the test can work with")

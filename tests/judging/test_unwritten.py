"""A function that is not written yet, or returns nothing, is told as that."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from grader.assignment import load_assignment
from grader.judging.judge import judge
from grader.judging.unwritten import describe_body
from grader.results.report import ItemResult, Verdict
from tests.support.in_process_work import InProcessWork
from tests.support.notebooks import submission

TEST = """
from grader.testing import Case, assert_close, given, item

def numbers(draw):
    for number in range(5):
        yield Case(f"the number {number}", number=float(number))

@item("double")
@given(numbers)
def test_double(student, case):
    assert_close(student.double(case.number), 2 * case.number)
"""

BODIES = {
    "pass": ("is not written yet: its body is only `pass`",),
    "...": ("is not written yet: its body is only `...`",),
    "'''Double it.'''": ("is not written yet: its body is only a docstring",),
    "'''Double it.'''\n    # to do\n    pass": ("its body is only `pass`",),
    "raise NotImplementedError": ("is not written yet: it raises NotImplementedError",),
    "'''Double it.'''\n    raise NotImplementedError('later')": ("is not written yet: it raises",),
    "return None": ("is not written yet: its body is only `return None`",),
    "return": ("is not written yet: its body is only `return`",),
    "y = 2 * x\n    raise NotImplementedError": ("is not finished: line 3 raises NotImplementedError",),
    "y = 2 * x": ("has no return statement: add one",),
    "y = 2 * x\n    y": ("has no return statement: its last line, `y`, computes a value",),
    "y = 2 * x\n    print(y)": ("its last line, `print(y)`, shows a value and does not return it",),
    "y = 2 * x\n    return": ("`return` in line 3 returns no value",),
    "y = 2 * x\n    def inner(): return y": ("has no return statement: add one",),
    "if x > 9:\n        return x": (
        "its return statement (line 3) stands inside the if of line 2, and the function may end without it",
    ),
    "for i in x:\n        return i": ("stands inside the for loop of line 2",),
    "if x > 9:\n        return x\n    elif x > 8:\n        return 2": (
        "(lines 3 and 5) stand inside the if of line 2",
    ),
    "return 2 * x": (),
    "yield x": (),
    "if x:\n        return 1\n    return nothing": (),
}


@pytest.mark.parametrize("body", BODIES)
def test_a_body_shows_why_nothing_is_returned(body: str) -> None:
    function = ast.parse(f"def double(x):\n    {body}").body[0]
    assert isinstance(function, ast.FunctionDef)
    said = describe_body(function)
    assert all(part in said for part in BODIES[body]), said
    assert bool(said) is bool(BODIES[body])


def judged(folder: Path, *cells: str, item: str = 'names = ["double"]') -> ItemResult:
    (folder / "rubric.toml").write_text(
        f'title = "T"\npoints = 3\n[sections]\n1 = "One"\n'
        f'[[items]]\nid = "double"\nsection = "1"\ntitle = "Doubles"\npoints = 3\n{item}\n'
    )
    (folder / "test_double.py").write_text(TEST)
    work, notebooks = InProcessWork(*cells), submission(*cells).notebooks
    (result,) = judge(load_assignment(folder), work, "a submission", notebooks=notebooks)
    return result


def test_a_stub_is_not_written_yet(tmp_path: Path) -> None:
    result = judged(tmp_path, "x = 1", "y = 2\ndef double(x):\n    pass")
    assert (result.verdict, result.message) == (
        Verdict.FAILED,
        "double is not written yet: its body is only `pass`",
    )
    assert (result.cell, result.line, result.evidence) == (1, 2, {})


def test_a_hidden_item_says_so_too(tmp_path: Path) -> None:
    result = judged(tmp_path, "def double(x):\n    pass", item='names = ["double"]\nvisible = false')
    assert result.message == "double is not written yet: its body is only `pass`"


def test_what_returns_something_is_told_by_its_results(tmp_path: Path) -> None:
    result = judged(tmp_path, "def double(x):\n    return x * x")
    assert result.message.startswith("wrong in 3 of 5 cases")

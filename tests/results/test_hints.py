"""Hints come in steps, each more specific than the last, and never give the solution."""

from __future__ import annotations

import json
from typing import Any

import pytest

from grader.assignment import Assignment, Item
from grader.errors import InputError
from grader.grading.grade import grade
from grader.judging.judge import judge
from grader.judging.loading import load_rubric
from grader.judging.local import LocalWork
from grader.judging.misconceptions import write_mutant
from grader.results.hints import make_hints
from grader.results.report import ItemResult, Verdict
from grader.sandbox.host.sandbox import Zygote
from grader.self_check.selection import find_items
from tests.support.notebooks import submission

FLIPPED = """
import torch
def corr2d(X, K):
    K = K.flip(0, 1)
    h, w = K.shape
    Y = torch.zeros((X.shape[0] - h + 1, X.shape[1] - w + 1))
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i:i + h, j:j + w] * K).sum()
    return Y
"""
TWICE = FLIPPED.replace("K = K.flip(0, 1)", "K = 2 * K - 3")


def judged(code: str, name: str, assignment: Assignment, zygote: Zygote) -> tuple[ItemResult, Item]:
    report = grade(submission(code), assignment, zygote, only={name})
    return report.items[0], next(item for item in assignment.items if item.id == name)


@pytest.mark.slow
def test_the_steps_say_where_what_and_the_smallest_case(hw2: Assignment, zygote: Zygote) -> None:
    where, what, case = make_hints(*judged(FLIPPED, "corr2d.values", hw2, zygote), "The Cross-Correlation Operation")
    assert where.text.startswith("Wrong in ")
    assert "first with " in where.text
    assert where.text.endswith("Read section 7.2.1 (The Cross-Correlation Operation) again.")
    assert what.text.startswith("this is true convolution: the kernel is flipped in both directions")
    assert set(case.shown) == {"inputs", "found", "symbols"}
    # A step does not run ahead of the next one.
    assert "flipped" not in where.text
    assert "expected" not in where.text + what.text
    assert "expected" in case.text


@pytest.mark.slow
def test_a_mistake_without_a_name_still_has_a_kind_and_the_smallest_input(hw2: Assignment, zygote: Zygote) -> None:
    where, what, case = make_hints(*judged(TWICE, "corr2d.values", hw2, zygote))
    assert "expected" not in where.text + what.text
    assert what.text.startswith("The shape is right; ")
    assert case.text.startswith("The smallest case found is ")
    assert case.shown["inputs"]["K"]["shape"] == [1, 1]


@pytest.mark.parametrize("code", [FLIPPED, TWICE])
def test_no_step_holds_the_expected_tensor(hw2: Assignment, zygote: Zygote, code: str) -> None:
    result, item = judged(code, "corr2d.values", hw2, zygote)
    expected = result.evidence["expected"]["values"]
    assert len(json.dumps(expected)) > 20  # of several entries
    hints = json.dumps([[hint.text, hint.shown] for hint in make_hints(result, item)])
    assert json.dumps(expected) not in hints
    assert '"expected"' not in hints


def test_of_known_mistakes_no_step_holds_the_expected_tensor_either(hw2: Assignment) -> None:
    rubric, items = load_rubric(hw2), {item.id: item for item in hw2.tested}
    looked_at = 0
    for mistake in rubric.misconceptions[:60:8]:
        work = LocalWork(rubric.solution.with_definitions(write_mutant(mistake, rubric.own_packages)))
        for result in judge(hw2, work, "hints", mistake.breaks & items.keys()):
            where, *others = make_hints(result, items[result.id])
            assert mistake.says not in where.text
            assert all(hint.shown.keys() <= {"inputs", "found", "symbols"} for hint in others)
            expected = result.evidence.get("expected")
            if isinstance(expected, dict) and len(json.dumps(expected.get("values"))) > 12:
                assert json.dumps(expected["values"]) not in " ".join(hint.text for hint in (where, *others))
                looked_at += 1
    assert looked_at > 3


def test_an_exception_is_the_kind_of_mistake(hw2: Assignment, zygote: Zygote) -> None:
    where, what, *_ = make_hints(*judged("def corr2d(X, K):\n    return X @ Z", "corr2d.values", hw2, zygote))
    assert where.text.startswith("Stops with an error in ")
    assert "NameError" not in where.text
    line = "in corr2d, cell 1, line 2 (`return X @ Z`)"
    assert what.text == f"raises NameError {line}: name 'Z' is not defined."


def test_a_name_that_is_not_there_is_the_only_hint(hw2: Assignment, zygote: Zygote) -> None:
    (hint,) = make_hints(*judged("1 + 1", "corr2d.values", hw2, zygote))
    assert hint.text == "corr2d is not defined in this submission. Read section 7.2.1 again."


def result(verdict: Verdict, message: str, **more: Any) -> ItemResult:
    return ItemResult("secret", "1.1", "A secret", 0, 1, verdict, message, **more)


def test_a_hidden_item_has_no_case() -> None:
    item = Item("secret", "1.1", "A secret", 1, names=("f",), visible=False)
    hints = make_hints(result(Verdict.FAILED, "does not give the right result in 3 of 4 cases"), item)
    assert [hint.text for hint in hints] == ["does not give the right result in 3 of 4 cases. Read section 1.1 again."]
    message = "f adds one (section 1.1). Does not give the right result in 3 of 4 cases"
    hints = make_hints(result(Verdict.FAILED, message, misconception="adds_one"), item)
    assert [hint.text for hint in hints][1:] == ["f adds one."]


def test_what_is_right_or_waits_has_no_hint() -> None:
    item = Item("secret", "1.1", "A secret", 1)
    assert make_hints(result(Verdict.PASSED, "right"), item) == ()
    assert make_hints(result(Verdict.PENDING, "waits for its training"), item) == ()


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (["corr2d.values"], ["corr2d.values"]),
        (["corr2d"], ["corr2d.values", "corr2d.shape"]),
        (["corr2d_multi"], ["corr2d_multi_in", "corr2d_multi_in_out"]),
        (["Residual"], ["residual"]),
        (["pool2d.avg", "corr2d.shape", "corr2d.shape"], ["corr2d.shape", "pool2d.avg"]),
        (["Conv2D"], ["conv2d_layer"]),
    ],
)
def test_items_are_called_by_id_beginning_or_name(hw2: Assignment, wanted: list[str], found: list[str]) -> None:
    assert [item.id for item in find_items(hw2, wanted)] == found


def test_what_no_item_is_called_is_answered_with_what_is_near(hw2: Assignment) -> None:
    with pytest.raises(InputError, match=r"no item of hw2 is called 'cor2d\.value': did you mean corr2d\.values"):
        find_items(hw2, ["cor2d.value"])
    with pytest.raises(InputError, match=r"its items are corr2d\.values, corr2d\.shape"):
        find_items(hw2, ["zzzzzz"])


def test_what_is_not_written_is_said_at_once(hw2: Assignment, zygote: Zygote) -> None:
    where, *_ = make_hints(*judged("def corr2d(X, K):\n    pass", "corr2d.values", hw2, zygote))
    assert where.text.startswith("corr2d is not written yet: its body is only `pass`. Read section 7.2.1")


def test_a_syntax_error_is_said_at_once(hw2: Assignment, zygote: Zygote) -> None:
    (where,) = make_hints(*judged("def corr2d(X, K)\n    return X", "corr2d.values", hw2, zygote))
    assert where.text.startswith(
        "corr2d is not defined because cell 1 has a SyntaxError in line 1: expected ':' (`def corr2d(X, K)`)."
    )

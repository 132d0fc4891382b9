"""A failed definition that departs from a right one in one place is placed there, and a right one never is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from grader.assignment import Assignment
from grader.judging.judge import judge
from grader.judging.loading import load_rubric
from grader.judging.local import LocalWork
from grader.judging.solution import Solution, SolutionCell
from grader.results.report import ItemResult, Verdict
from grader.submission.submission import Cell, Notebook

CORR2D = """\
def corr2d(image, kernel):
    '''Slide the kernel over the image.'''
    kh, kw = kernel.shape
    out = torch.zeros((image.shape[0] - kh + 1, image.shape[1] - kw + 1))
    for a in range(out.shape[0]):
        for b in range(out.shape[1]):
            out[a, b] = (image[a:a + kh, b:b + kw] * kernel).sum()
    return out
"""


def grade(assignment: Assignment, source: str, *items: str) -> dict[str, ItemResult]:
    name = source.split("def ")[1].partition("(")[0]
    solution = load_rubric(assignment).solution.with_definitions([SolutionCell(name, source)])
    return grade_all(assignment, solution, *items)


def grade_all(assignment: Assignment, solution: Solution, *items: str) -> dict[str, ItemResult]:
    cells = tuple(Cell(index, "code", cell.source) for index, cell in enumerate(solution.cells))
    notebook = Notebook(LocalWork.FILE, "", cells, {})
    results = judge(assignment, LocalWork(solution), "seed", only=items, notebooks=[notebook])
    return {result.id: result for result in results}


def index_of(assignment: Assignment, name: str) -> int:
    cells = load_rubric(assignment).solution.cells
    return next(index for index, cell in enumerate(cells) if cell.name == name)


def test_the_line_is_named_and_quoted_beside_the_right_one(hw2: Assignment) -> None:
    wrong = CORR2D.replace("range(out.shape[1])", "range(out.shape[0])")
    result = grade(hw2, wrong, "corr2d.values")["corr2d.values"]
    assert result.verdict is not Verdict.PASSED
    assert (result.cell, result.line, result.code) == (index_of(hw2, "corr2d"), 6, "for b in range(out.shape[0]):")
    cell = index_of(hw2, "corr2d") + 1
    told = f"line 6 of cell {cell}: `range(out.shape[0])` stands where a right solution has `range(out.shape[1])`"
    assert result.misconception or told in result.message


def test_the_solution_is_not_shown_unless_the_rubric_allows_it(hw2: Assignment) -> None:
    wrong = CORR2D.replace("kernel).sum()", "kernel).prod()")
    shown = grade(hw2, wrong, "corr2d.values")["corr2d.values"]
    quiet = grade(replace(hw2, show_solution=False), wrong, "corr2d.values")["corr2d.values"]
    assert "kernel).sum" in shown.message
    assert "kernel).sum" not in quiet.message
    assert (quiet.line, quiet.code) == (7, shown.code)


def test_a_hidden_item_is_placed_and_says_nothing_more(hw2: Assignment) -> None:
    items = tuple(replace(item, visible=item.id != "corr2d.values") for item in hw2.items)
    wrong = CORR2D.replace("kernel).sum()", "kernel).prod()")
    result = grade(replace(hw2, items=items), wrong, "corr2d.values")["corr2d.values"]
    assert result.line == 7
    assert "right solution" not in result.message


def test_a_right_definition_is_not_spoken_of(hw2: Assignment) -> None:
    result = grade(hw2, CORR2D, "corr2d.values")["corr2d.values"]
    assert result.verdict is Verdict.PASSED
    assert "solution" not in result.message


def test_nothing_is_said_of_a_definition_whose_helper_is_wrong(hw2: Assignment) -> None:
    """Its own text departs harmlessly, and the helper's is to blame."""
    rubric = load_rubric(hw2)
    helper = SolutionCell("corr2d", CORR2D.replace("kernel).sum()", "kernel).prod()"))
    user = SolutionCell(
        "corr2d_multi_in",
        "def corr2d_multi_in(X, K):\n    return sum(corr2d(x, k) for x, k in zip(X, K, strict=False))",
    )
    results = grade_all(hw2, rubric.solution.with_definitions([helper, user]), "corr2d.values", "corr2d_multi_in")
    assert results["corr2d.values"].line == 7
    assert "right solution" not in results["corr2d_multi_in"].message


def test_nothing_is_said_of_a_definition_that_is_written_in_another_way(hw2: Assignment) -> None:
    lines = (
        "def corr2d(X, K):",
        "    left = X.flatten()",
        "    while len(left) > 7:",
        "        left = left[1:]",
        "    return left",
    )
    other = "\n".join(lines)
    result = grade(hw2, other, "corr2d.values")["corr2d.values"]
    assert "right solution" not in result.message
    assert result.line == 1


@pytest.mark.parametrize("held_out", [False, True])
def test_a_right_notebook_that_is_left_out_is_not_compared_with(hw2: Assignment, held_out: bool) -> None:
    texts = load_rubric(hw2).right_texts
    texts.left_out = frozenset({"book"}) if held_out else frozenset()
    try:
        origins = {text.origin for text in texts.find("corr2d")}
    finally:
        texts.left_out = frozenset()
    assert ("book" in origins) is not held_out

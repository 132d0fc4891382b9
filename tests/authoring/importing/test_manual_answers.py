"""Manual cells of other graders: what a student wrote there reaches the person who marks it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from grader.assignment import load_assignment
from grader.authoring.importing import import_assignment
from grader.results.report import ItemResult
from grader.submission.submission import Submission, read_notebook
from grader.submission.written.answers import add_written_answers
from tests.support.foreign_assignments import Cell, answer, code, judging, notebook, text, written

CASES = [{"code": ">>> square(2)\n4", "hidden": False}]
SPECIFICATION = {"name": "q3", "points": 1, "suites": [{"cases": CASES, "type": "doctest"}]}
BEGIN, END = "<!-- BEGIN QUESTION -->", "<!-- END QUESTION -->"


def imported(folder: Path, *cells: Cell, **tests: str) -> None:
    path = written(folder / "hw" / "hw.ipynb", notebook(*cells))
    for name, source in tests.items():
        written(folder / "hw" / "tests" / f"{name}.py", source)
    import_assignment(path.parent if tests else path, "first", folder / "first")


def answers(folder: Path, *cells: Cell) -> dict[str, ItemResult]:
    """Return what a person marks in a student's notebook, by item."""
    submission = Submission((read_notebook("hw.ipynb", notebook(*cells).encode()),))
    return {result.id: result for result in add_written_answers([], submission, load_assignment(folder / "first"))}


def manual(source: str, identifier: str, kind: str = "markdown", **roles: Any) -> Cell:
    cell = answer(source, identifier)
    cell["metadata"]["nbgrader"] |= {"grade": True, "points": 2, **roles}
    return {**cell, "cell_type": kind}


SQUARE = answer("def square(x):\n    return x * x", "square")
TESTS = judging("assert square(2) == 4")
PLOT = judging("import matplotlib.pyplot as plt\nassert plt.gcf()", "plotted")


def test_cells_of_nbgrader_are_found_by_their_ids(tmp_path: Path) -> None:
    imported(tmp_path, SQUARE, TESTS, manual("", "why"), manual("# YOUR CODE HERE", "how", "code"), manual("", "never"))
    found = answers(
        tmp_path,
        text("# My notes\nnot this"),
        manual("Because **two** times two is four.", "why"),
        manual("x = 3", "how", "code"),
        manual("YOUR ANSWER HERE", "never"),
    )
    assert found["why"].evidence["text"] == "Because **two** times two is four."
    assert (found["why"].file, found["why"].cell) == ("hw.ipynb", 1)
    assert found["how"].evidence["text"] == "```python\nx = 3\n```"
    assert found["never"].message == "waits for a person; no discussion found"


def test_the_code_of_a_test_that_cannot_be_translated_is_shown(tmp_path: Path) -> None:
    imported(tmp_path, SQUARE, TESTS, answer("", "draw"), PLOT)
    found = answers(tmp_path, SQUARE, TESTS, answer("plt.plot([1, 2])", "draw"), PLOT)
    assert list(found) == ["plotted"]
    assert found["plotted"].evidence["text"] == "```python\nplt.plot([1, 2])\n```"


def test_the_answer_of_a_task_stands_below_it(tmp_path: Path) -> None:
    task = manual("## A task\nDraw your house.", "house", solution=False, task=True)
    imported(tmp_path, SQUARE, TESTS, task)
    found = answers(tmp_path, task, text("It has a door."), code("draw(door)"), text("## The end"), text("other"))
    assert found["house"].evidence["text"] == "It has a door.\n\n```python\ndraw(door)\n```"


def test_questions_of_otter_without_tests_are_found_below_their_text(tmp_path: Path) -> None:
    cells = [
        text("# Squares"),
        text(f"{BEGIN}\n\n**Question 1.** Why is the square of two even?\n\n_Points:_ 2.5"),
        text("_Type your answer here, replacing this text._"),
        text(f"{END}\n\n{BEGIN}\n\n**Question 2.** Plot it."),
        code("..."),
        text(END),
        text(f"{BEGIN}\n\n**Question 3.** Define square."),
        code("def square(x): ..."),
        code('grader.check("q3")'),
        text(END),
    ]
    imported(tmp_path, *cells, q3=f"test = {SPECIFICATION!r}")
    assignment = load_assignment(tmp_path / "first")
    assert [(item.id, item.points, item.by_person) for item in assignment.items] == [
        ("q3", 1, False),
        ("Question_1", 2.5, True),
        ("Question_2", 1, True),
    ]
    filled = {2: text("Two times two is four."), 4: code("plot(square)")}
    found = answers(tmp_path, *(filled.get(index, cell) for index, cell in enumerate(cells)))
    assert found["Question_1"].evidence["text"] == "Two times two is four."
    assert found["Question_2"].evidence["text"] == "```python\nplot(square)\n```"
    empty = answers(tmp_path, *cells)
    assert {result.message for result in empty.values()} == {"waits for a person; no discussion found"}

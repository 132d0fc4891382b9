"""An assignment may name the cells with an answer, instead of leaving them to be found by headings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from grader.assignment import AnswerCells, Assignment, WrittenRules
from grader.submission.submission import Notebook, Submission, read_notebook
from grader.submission.written.answer_cells import select_answer_cells
from grader.submission.written.answers import add_written_answers
from tests.support.foreign_assignments import Cell, code, notebook, text


def read(*cells: Cell) -> Notebook:
    return read_notebook("a.ipynb", notebook(*cells).encode())


def selected(answer: AnswerCells, *cells: Cell) -> list[int]:
    return [cell.index for cell in select_answer_cells(read(*cells).cells, answer)]


def test_cells_are_named_by_id_by_tag_and_by_the_name_that_nbgrader_gave_them() -> None:
    cells = [
        {**text("one"), "id": "first"},
        code("two", tags=["q2", "hard"]),
        text("three", nbgrader={"grade_id": "third"}),
        {**text("four"), "id": "fourth"},
    ]
    assert selected(AnswerCells(cell_ids=("first", "third", "missing")), *cells) == [0, 2]
    assert selected(AnswerCells(tags=("q2",)), *cells) == [1]
    assert selected(AnswerCells(cell_ids=("fourth",), tags=("hard",)), *cells) == [1, 3]
    assert selected(AnswerCells(), *cells) == []


def test_cells_below_a_line_end_with_the_next_heading_or_question() -> None:
    cells = [text("intro"), text("**Question 1.** Why?\n\n_Points:_ 2"), text("because"), code("x = 1")]
    answer = AnswerCells(below="Question 1. Why?")
    for end in (text("## Next"), text("<!-- END QUESTION -->"), code("grader.check('q1')")):
        assert selected(answer, *cells, end, text("more")) == [2, 3]
    assert selected(answer, *cells) == [2, 3]
    assert selected(AnswerCells(below="Question 2."), *cells) == []


@pytest.mark.parametrize(
    "odd",
    [
        {"id": 3, "metadata": {"tags": "q", "nbgrader": []}},
        {"id": None, "metadata": {"tags": [1, None, {}], "nbgrader": {"grade_id": 7}}},
        {"metadata": None, "attachments": []},
        {"attachments": {"a.png": None, "b.png": {"image/png": 3}, "c.png": {"text/html": "x"}, "d.png": {}}},
        {"attachments": {"a.png": {"image/png": ["x", 3]}, "b.png": {"image/png": "A" * 2_000_000}}},
    ],
)
def test_names_and_attachments_of_another_type_are_none(odd: dict[str, Any]) -> None:
    (cell,) = read({**text("a"), **odd}).cells
    assert (cell.id, cell.tags, cell.grade_id, cell.attachments) == ("", (), "", ())


def test_names_are_bounded() -> None:
    (cell,) = read({**text("a", tags=["t" * 500] * 500), "id": "i" * 500}).cells
    assert (len(cell.id), len(cell.tags), len(cell.tags[0])) == (200, 20, 200)


def answered(hw2: Assignment, answer: AnswerCells, *cells: Cell, **rules: Any) -> str:
    """Return the text of section 7.2 in an assignment with this answer and these rules."""
    items = tuple(replace(item, answer=answer) if item.id == "discussion.7.2" else item for item in hw2.items)
    assignment = replace(hw2, items=items, written=WrittenRules(**rules))
    results = add_written_answers([], Submission((read(*cells),)), assignment)
    return str(next(item for item in results if item.section == "7.2").evidence["text"])


def test_named_cells_come_before_headings_and_headings_before_nothing(hw2: Assignment) -> None:
    cells = [text("# 7.2"), text("## Discussion\npears"), text("apples", tags=["q"])]
    assert answered(hw2, AnswerCells(tags=("q",)), *cells) == "apples"
    assert "pears" in answered(hw2, AnswerCells(tags=("other",)), *cells)
    assert answered(hw2, AnswerCells(tags=("q",)), *cells[:2], text(" ", tags=["q"])) == ""


def test_headings_of_the_assignment_ask_for_words(hw2: Assignment) -> None:
    cells = [text("# 7.2\nThe book's words"), text("## My Lab Notes on it\napples")]
    assert answered(hw2, AnswerCells(), *cells, headings=("lab notes",)) == "## My Lab Notes on it\n\napples"

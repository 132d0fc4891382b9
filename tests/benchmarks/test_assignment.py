"""The assignment that graders are compared with, and what each of them is handed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks.assignment import CHAPTER_7, DEFINITIONS, QUESTIONS, a_class, path_of, question_of
from benchmarks.floor import compiled, run
from benchmarks.peers.nbgrader import with_test_cells
from benchmarks.peers.otter import test_file as otter_test  # under another name, or pytest takes it for a test
from benchmarks.peers.otter import with_tests_named


def code_cells(content: bytes) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(content)["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_is_of_the_size_that_was_measured_before() -> None:
    cells = code_cells(path_of(CHAPTER_7).read_bytes())
    assert len(cells) == 24
    assert [question for cell in cells if (question := question_of(cell))] == list(QUESTIONS)


def test_the_larger_notebook_begins_with_the_smaller_one() -> None:
    smaller, larger = (code_cells(path_of(name).read_bytes()) for name in (CHAPTER_7, DEFINITIONS))
    assert larger[: len(smaller)] == smaller


def test_no_two_students_hand_in_the_same_bytes() -> None:
    assert len(set(a_class(CHAPTER_7, 30).values())) == 30


def test_the_notebook_passes_every_check() -> None:
    run(compiled(path_of(CHAPTER_7), checked=True))


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_a_check_notices_a_wrong_answer(question: Any) -> None:
    wrong = {name: lambda *_: 0 for name in question.call.partition("(")[2].rstrip(")").split(", ")}
    namespace: dict[str, Any] = dict(wrong)
    with pytest.raises((AssertionError, AttributeError, TypeError)):
        exec(f"{question.definition}\n{question.call}", namespace)


def test_otter_checks_each_question_right_after_its_cell() -> None:
    (content,) = a_class(CHAPTER_7, 1, with_tests_named).values()
    named = [cell["metadata"]["otter"]["tests"] for cell in code_cells(content) if cell["metadata"]]
    assert named == [[question.name] for question in QUESTIONS]


def test_otter_gets_a_question_as_a_file_of_its_format() -> None:
    text = otter_test(QUESTIONS[0])
    assert (
        "OK_FORMAT = False\nname = 'corr2d'\npoints = 4\n\n@test_case(points=4)\ndef check_corr2d(corr2d: Any)" in text
    )
    compile(text, "corr2d.py", "exec")


def test_nbgrader_gets_a_locked_cell_behind_each_answer() -> None:
    (content,) = a_class(CHAPTER_7, 1, with_test_cells).values()
    marks = [cell["metadata"]["nbgrader"] for cell in code_cells(content) if "nbgrader" in cell["metadata"]]
    for answer, tests, question in zip(marks[0::2], marks[1::2], QUESTIONS, strict=True):
        assert (answer["grade_id"], answer["solution"], answer["locked"]) == (question.name, True, False)
        assert (tests["grade"], tests["locked"], tests["points"]) == (True, True, question.points)

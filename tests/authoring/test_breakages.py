"""A rubric's tests meet answers that their author did not expect, and the author learns which of them break."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from grader.assignment import Assignment, load_assignment
from grader.authoring.breakages import find_breakages
from grader.authoring.new import new_assignment
from grader.judging.loading import load_rubric
from grader.results.verification import Breakage
from tests.support.paths import ROOT

HW2 = ROOT / "rubrics" / "hw2"
# Models of this size take seconds for each answer that has to be tried with numbers.
LARGE = ("vgg11.shapes", "residual", "resnet18.shapes")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small correct assignment, for a test to break."""
    new_assignment("frail", tmp_path)
    return tmp_path / "frail"


def found(folder: Path, item: str) -> list[Breakage]:
    assignment = load_assignment(folder)
    return find_breakages(load_rubric(assignment), next(one for one in assignment.tested if one.id == item))


def changed(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def test_no_answer_breaks_a_test_of_the_template(folder: Path) -> None:
    assert [found(folder, item.id) for item in load_assignment(folder).tested] == [[], [], []]


@pytest.mark.parametrize("item", [item.id for item in load_assignment(HW2).tested if item.id not in LARGE])
def test_no_answer_breaks_a_test_of_hw2(item: str) -> None:
    assert found(HW2, item) == []


@pytest.mark.slow
@pytest.mark.parametrize("item", LARGE)
def test_no_answer_breaks_a_test_of_hw2_with_a_large_model(item: str) -> None:
    assert found(HW2, item) == []


def test_the_author_learns_where_a_test_breaks_over_which_answers(folder: Path) -> None:
    file = folder / "test_classification.py"
    changed(
        file, "assert_close(student.accuracy(case.X, case.y), ", "assert_close(student.accuracy(case.X, case.y) * 1.0, "
    )
    (breakage, *_) = found(folder, "accuracy")
    line = file.read_text(encoding="utf-8").split("\n")[breakage.line - 1]
    assert "student.accuracy(case.X, case.y) * 1.0" in line
    assert breakage.file == "test_classification.py"
    assert (breakage.test.item, breakage.test.name) == ("accuracy", "test_accuracy_is_the_fraction_of_right_rows")
    assert breakage.error.startswith("TypeError: unsupported operand type(s) for *: 'NoneType' and 'float'")
    assert breakage.case == "4 right rows of 4 classes"
    assert "accuracy returns None" in breakage.answers
    assert "accuracy returns a number" not in breakage.answers


def test_a_test_that_an_answer_keeps_from_ending_is_found(folder: Path) -> None:
    changed(folder / "rubric.toml", "test_seconds = 5", "test_seconds = 0.5")
    changed(
        folder / "test_classification.py",
        "    assert_close(student.accuracy(case.X, case.y), ",
        "    left = student.accuracy(case.X, case.y)\n"
        "    while isinstance(left, float) and left > 0:\n        left -= 1\n"
        "    assert_close(student.accuracy(case.X, case.y), ",
    )
    (breakage,) = found(folder, "accuracy")
    assert breakage.answers == ("accuracy returns infinity",)
    assert breakage.error.startswith("TooLong: ")


@pytest.mark.parametrize(
    ("item", "file", "old", "new", "answer"),
    [
        (
            "init_cnn",
            "test_7_6_lenet.py",
            "    weight_of(layer, case.description)\n    before",
            '    layer.parameters()["weight"]\n    before',
            "layers of torch.nn have parameters of other names",
        ),
        (
            "edge_detection",
            "test_7_2_edges.py",
            "    X, K = reference.edge_image(), reference.edge_kernel()\n    Y",
            "    X, K = reference.edge_image(), reference.edge_kernel()\n"
            '    [len(record.value["weight"]) for record in student.recorded() if record.name == "X"]\n    Y',
            "the right answer",
        ),
    ],
)
def test_layers_and_values_of_a_notebook_are_spoilt_too(
    tmp_path: Path, item: str, file: str, old: str, new: str, answer: str
) -> None:
    for name in ("rubrics/hw2", "reference"):
        shutil.copytree(ROOT / name, tmp_path / name)
    changed(tmp_path / "rubrics" / "hw2" / file, old, new)
    assert answer in {answer for breakage in found(tmp_path / "rubrics" / "hw2", item) for answer in breakage.answers}


def test_every_item_of_hw2_that_tests_decide_is_tried(hw2: Assignment) -> None:
    assert {item.id for item in hw2.tested} >= set(LARGE)

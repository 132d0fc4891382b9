"""Loading an assignment: what it declares, and one clear error for each way to contradict itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from grader.assignment import (
    AnswerCells,
    Assignment,
    CarriedForward,
    GPURules,
    WrittenRules,
    find_assignment,
    load_assignment,
)
from grader.errors import AssignmentError
from grader.sandbox.protocol.limits import Limits

RUBRIC = """
title = "A small assignment"
points = 5
[sections]
"7.2" = "Convolutions"
[symbols]
X = "the input (row, column)"
[limits]
cell_seconds = 2.5
processes = 8
[[items]]
id = "first"
section = "7.2"
title = "The first"
points = 2
names = ["corr2d"]
[[items]]
id = "second"
section = "7.2"
title = "The second"
points = 3
visible = false
partial = true
"""


def loaded(folder: Path, rubric: str = RUBRIC) -> Assignment:
    (folder / "rubric.toml").write_text(rubric)
    return load_assignment(folder)


def test_an_assignment_has_what_its_rubric_declares(tmp_path: Path) -> None:
    assignment = loaded(tmp_path)
    assert (assignment.name, assignment.title, assignment.points) == (tmp_path.name, "A small assignment", 5)
    assert [item.id for item in assignment.items] == ["first", "second"]
    assert assignment.names == ("corr2d",)
    assert assignment.symbols == {"X": "the input (row, column)"}
    assert assignment.items[0].visible
    assert not assignment.items[0].partial
    assert not assignment.items[1].visible
    assert assignment.items[1].partial
    assert assignment.limits == Limits(cell_seconds=2.5, processes=8)


def test_what_is_carried_forward_holds_for_all_items_that_say_nothing_else(tmp_path: Path) -> None:
    assert loaded(tmp_path).carried_forward is CarriedForward.NONE
    rubric = RUBRIC.replace("points = 5", 'points = 5\ncarried_forward = "half"')
    assignment = loaded(tmp_path, rubric.replace("partial = true", 'carried_forward = "full"'))
    assert assignment.carried_forward is CarriedForward.HALF
    assert [item.carried_forward for item in assignment.items] == [None, CarriedForward.FULL]


def test_cells_may_use_a_gpu_only_if_the_rubric_says_so(tmp_path: Path) -> None:
    assert loaded(tmp_path).gpu == GPURules(notebooks=False, queue="gpu")
    asking = RUBRIC.replace("[limits]", '[gpu]\nnotebooks = true\nqueue = "gpu-small"\n[limits]')
    assert loaded(tmp_path, asking).gpu == GPURules(notebooks=True, queue="gpu-small")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("points = 5", "points = 6", "add up to 5, but points = 6"),
        ("points = 5", "points = 5\nvariables = ['X']", "variables has 'X', which no item has in names"),
        ("points = 5", 'points = 5\nown_loop = "all"', 'own_loop must be "advice" or "half" or "required", not'),
        (
            "points = 5",
            'points = 5\ncarried_forward = "all"',
            'carried_forward must be "none" or "half" or "full", not',
        ),
        ("partial = true", 'partial = true\ncarried_forward = ""', "carried_forward must be"),
        ("points = 5", "", "points is missing"),
        ("points = 2", "points = 0", r"item 1 \(first\): points must be above zero"),
        ("points = 2", "points = -2", "points must be above zero"),
        ("points = 2", "points = nan", "points must be above zero"),
        ("points = 2", "points = true", "points must be a number"),
        ('id = "second"', 'id = "first"', "'first' is declared twice"),
        ('section = "7.2"', 'section = "9"', "'first' is in section '9'"),
        ('title = "The first"', "title = 3", "title must be a string, not 3"),
        ('title = "The first"', 'titel = "The first"', "title is missing"),
        ("partial = true", "partial = true\ncolour = 1", "unknown key colour"),
        ("partial = true", "search = true", "search needs a name"),
        ("partial = true", 'marked_by = "robot"', 'must be "tests" or "person", not \'robot\''),
        ("partial = true", 'partial = true\nmarked_by = "person"', "no test judges what a person marks: leave"),
        ('names = ["corr2d"]', 'names = ["corr2d"]\nmarked_by = "person"', "no test judges what a person marks"),
        ('names = ["corr2d"]', 'names = ["corr 2d"]', "'corr 2d' in names is not a Python name"),
        ('names = ["corr2d"]', "names = [3]", "names must be a list of strings"),
        ("processes = 8", "procesess = 8", r"\[limits\]: unknown key procesess"),
        ("processes = 8", "processes = 0", "processes must be above zero"),
        ("processes = 8", "processes = 1.5", "processes must be a whole number"),
        ("points = 5", "points = ", "is not valid TOML"),
        ("[limits]", "[written]\nheading = ['Notes']\n[limits]", r"\[written\]: unknown key heading"),
        ("[limits]", "[written]\nbook = 'none'\n[limits]", "book = 'none' is no file: give the path of its finger"),
        ("[limits]", "[written.titles]\n'7.2' = 'Kernels'\n[limits]", r"titles: 7.2 must be a list, not 'Kernels'"),
        ("partial = true", "answer = {tags = ['a']}", 'a person reads: add marked_by = "person"'),
        ("partial = true", "answer = {cell_id = 'a'}", r"item 2 \(second\), answer: unknown key cell_id"),
        ("[limits]", "[gpu]\nnotebook = true\n[limits]", r"\[gpu\]: unknown key notebook"),
        ("[limits]", "[gpu]\nqueue = 'cpu'\n[limits]", r"\[gpu\]: queue = 'cpu' is no queue for GPUs: give"),
        ("points = 5", 'points = 5\nreference = "nowhere"', "'nowhere' is no folder"),
    ],
)
def test_a_rubric_that_contradicts_itself_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in RUBRIC
    with pytest.raises(AssignmentError, match=message) as raised:
        loaded(tmp_path, RUBRIC.replace(old, new, 1))
    assert "rubric.toml" in str(raised.value)


def test_what_a_person_marks_is_told_from_what_tests_judge(tmp_path: Path) -> None:
    assignment = loaded(tmp_path, RUBRIC.replace("visible = false\npartial = true", 'marked_by = "person"'))
    assert [item.id for item in assignment.by_person] == ["second"]
    assert [item.id for item in assignment.tested] == ["first"]
    assert assignment.points == 5


def test_an_assignment_says_how_written_answers_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.fingerprints").write_bytes(b"")
    rules = "[written]\nheadings = ['Lab notes']\nbook = 'a.fingerprints'\n[written.titles]\n'8' = ['Else', 'More']\n"
    answer = "marked_by = 'person'\nanswer = {cell_ids = ['a', 'b'], tags = ['c'], below = '**Q1**'}"
    assignment = loaded(
        tmp_path, RUBRIC.replace("[limits]", f"{rules}[limits]").replace("visible = false\npartial = true", answer)
    )
    assert assignment.written == WrittenRules(("Lab notes",), {"8": ("Else", "More")}, tmp_path / "a.fingerprints")
    assert assignment.items[1].answer == AnswerCells(("a", "b"), ("c",), "**Q1**")
    assert loaded(tmp_path).written == WrittenRules()
    assert loaded(tmp_path).items[1].answer == AnswerCells()


def test_a_folder_without_a_rubric_is_named(tmp_path: Path) -> None:
    with pytest.raises(AssignmentError, match=r"does not exist: an assignment has rubric\.toml"):
        load_assignment(tmp_path)


def test_the_revision_changes_with_the_rubric_a_test_a_misconception_or_the_reference(tmp_path: Path) -> None:
    folder, reference = tmp_path / "hw", tmp_path / "reference"
    folder.mkdir()
    reference.mkdir()
    rubric = 'reference = "../reference"\n' + RUBRIC
    revisions = [loaded(folder, rubric).revision, loaded(folder, rubric + "# a comment").revision]
    (folder / "test_a.py").write_text("a = 1")
    revisions.append(loaded(folder, rubric).revision)
    (folder / "test_a.py").write_text("a = 2")
    revisions.append(loaded(folder, rubric).revision)
    (reference / "convolution.py").write_text("b = 1")
    revisions.append(loaded(folder, rubric).revision)
    for beside in ("misconceptions", "alternatives"):
        (folder / beside).mkdir()
        (folder / beside / "convolution.py").write_text("b = 1")
        revisions.append(loaded(folder, rubric).revision)
    (folder / "book.fingerprints").write_bytes(b"1")
    revisions.append(loaded(folder, rubric).revision)
    assert len(set(revisions)) == len(revisions)
    assert loaded(folder, rubric).revision == revisions[-1]


def test_an_assignment_is_found_by_its_name_and_by_its_path(tmp_path: Path) -> None:
    assert find_assignment("hw2").name == "hw2"
    (tmp_path / "rubric.toml").write_text(RUBRIC)
    assert find_assignment(tmp_path).title == "A small assignment"
    with pytest.raises(AssignmentError, match=r"no assignment named 'hw99': give one of .*hw2"):
        find_assignment("hw99")


def test_a_name_never_means_a_folder_that_happens_to_be_here(tmp_path: Path) -> None:
    here = tmp_path / "hw2"
    here.mkdir()
    (here / "rubric.toml").write_text(RUBRIC)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert find_assignment("hw2").folder != here


def test_names_are_looked_up_in_the_configured_folders_first(tmp_path: Path) -> None:
    for folder, title in (("first", "One"), ("second", "Two")):
        (tmp_path / folder / "hw2").mkdir(parents=True)
        (tmp_path / folder / "hw2" / "rubric.toml").write_text(RUBRIC.replace("A small assignment", title))
    (tmp_path / "second" / "hw3").mkdir()
    (tmp_path / "second" / "hw3" / "rubric.toml").write_text(RUBRIC)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADER_ASSIGNMENT_PATH", os.pathsep.join([str(tmp_path / "first"), "", str(tmp_path / "second")]))
        assert find_assignment("hw2").title == "One"
        assert find_assignment("hw3").folder == tmp_path / "second" / "hw3"
        with pytest.raises(AssignmentError, match="give one of hw2, hw3"):
            find_assignment("hw4")


def test_the_current_folder_is_searched_only_if_nothing_else_is_known(tmp_path: Path) -> None:
    (tmp_path / "rubrics" / "hw9").mkdir(parents=True)
    (tmp_path / "rubrics" / "hw9" / "rubric.toml").write_text(RUBRIC)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        with pytest.raises(AssignmentError, match="no assignment named 'hw9'"):
            find_assignment("hw9")
        patch.setattr("grader.assignment.RUBRICS", tmp_path / "missing")
        assert find_assignment("hw9").name == "hw9"
        with pytest.raises(AssignmentError, match="give one of hw9"):
            find_assignment("hw2")
        patch.setenv("GRADER_ASSIGNMENT_PATH", str(tmp_path))
        with pytest.raises(AssignmentError, match="set GRADER_ASSIGNMENT_PATH"):
            find_assignment("hw9")

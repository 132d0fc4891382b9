"""What is imported from otter-grader, and what is not."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from grader.assignment import load_assignment
from grader.authoring.importing import ImportedAssignment, import_assignment
from grader.errors import InputError
from tests.support.foreign_assignments import ASSIGNMENTS, code, notebook, text, written

LOOPS = ASSIGNMENTS / "loops"
SKIPPED = (
    "tests/q1.py: case 3 of q1, hidden; it keeps its points",
    "tests/q2.py: case 4 of q2, hidden, with 1 points",
    "tests/q3.py: case 3 of q3, hidden, with 1 points",
    "otter_config.json: otter-grader's settings",
)
EXAMPLES = ">>> square(2)\n4"


def specification(*cases: dict[str, Any] | str, **more: Any) -> dict[str, Any]:
    made = [{"code": each, "hidden": False} if isinstance(each, str) else each for each in cases]
    return {"name": "q1", "points": 2, "suites": [{"cases": made, "type": "doctest"}], **more}


def imported(folder: Path, spec: Any, **options: Any) -> ImportedAssignment:
    written(folder / "hw" / "tests" / "q1.py", spec if isinstance(spec, str) else f"test = {spec!r}\n")
    return import_assignment(folder / "hw", "first", folder / "first", **options)


def points_of(folder: Path) -> dict[str, float]:
    return {item.id: item.points for item in load_assignment(folder / "first").items}


def test_the_sample_becomes_an_assignment(tmp_path: Path) -> None:
    made = import_assignment(LOOPS, "loops", tmp_path / "loops")
    assignment = load_assignment(tmp_path / "loops")
    assert {item.id: (item.points, item.names) for item in assignment.items} == {
        "q1": (2, ("total",)),
        "q2.1": (1, ("squares",)),
        "q2.2": (2, ("root_mean_square",)),
        "q2.3": (0.5, ("root_mean_square",)),
        "q3.1": (1, ("steps",)),
        "q3.2": (1, ("steps",)),
    }
    assert (made.by_person, made.gaps, made.skipped) == ((), (), SKIPPED)
    assert assignment.sections == {"s1": "Sums", "s2": "Squares", "s3": "Steps"}


def test_a_zip_and_what_otter_assign_made_are_the_same_assignment(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "autograder.zip", "w") as archive:
        for path in sorted(LOOPS.rglob("*.*")):
            archive.write(path, f"autograder/source/{path.relative_to(LOOPS)}")
        archive.writestr("__MACOSX/tests/._q1.py", b"\x00\xff")
        archive.writestr("run_autograder", "raise SystemExit('never run')")
    for path in LOOPS.rglob("*.*"):
        written(tmp_path / "made" / "dist" / "student" / path.relative_to(LOOPS), path.read_text(encoding="utf-8"))
    written(tmp_path / "made" / "master.ipynb", notebook({**code("# ASSIGNMENT CONFIG"), "cell_type": "raw"}))
    files = []
    for number, source in enumerate((LOOPS, tmp_path / "autograder.zip", tmp_path / "made")):
        import_assignment(source, "loops", written(tmp_path / str(number) / "x", "").parent / "loops")
        files.append((tmp_path / str(number) / "loops" / "rubric.toml").read_text(encoding="utf-8"))
    assert files[0] == files[1] == files[2]


def test_tests_may_stand_in_the_notebook_s_metadata(tmp_path: Path) -> None:
    raises = 'name = "q2"\npoints = 1\n@test_case()\ndef test_it(square):\n    assert square(3) == 9\n'
    metadata = {"otter": {"tests": {"q1": specification(EXAMPLES), "q2": raises}}}
    cells = (text("# Squares"), code("def square(x): ..."), code('grader.check("q1")'))
    path = written(tmp_path / "hw.ipynb", notebook(*cells, **metadata))
    made = import_assignment(path, "first", tmp_path / "first")
    assert (made.by_tests, made.points) == (("q1", "q2"), 3)
    assert load_assignment(tmp_path / "first").title == "Squares"


@pytest.mark.parametrize(
    ("cases", "more", "points"),
    [
        (["a", "b"], {}, {"q1": 2}),
        (["a", "b"], {"all_or_nothing": False}, {"q1.1": 1, "q1.2": 1}),
        (["a", "b", "c"], {"all_or_nothing": False, "points": 1}, dict.fromkeys(("q1.1", "q1.2", "q1.3"), 1 / 3)),
        (["a", "b"], {"all_or_nothing": False, "points": [1, 4]}, {"q1.1": 1, "q1.2": 4}),
        (["a", "b"], {"all_or_nothing": False, "points": None}, {"q1.1": 0.5, "q1.2": 0.5}),
        (["a"], {"points": None}, {"q1": 1}),
        ([("a", 1.5), "b", "c"], {"all_or_nothing": False, "points": 2}, {"q1.1": 1.5, "q1.2": 0.25, "q1.3": 0.25}),
        ([("a", 3), "b"], {"all_or_nothing": False, "points": None}, {"q1.1": 3}),
    ],
)
def test_points_are_shared_as_otter_shares_them(
    tmp_path: Path, cases: list[Any], more: dict[str, Any], points: dict[str, float]
) -> None:
    visible = {"code": EXAMPLES, "hidden": False}
    made = [{**visible, "points": each[1]} if isinstance(each, tuple) else visible for each in cases]
    imported(tmp_path, specification(*made, **more))
    assert points_of(tmp_path) == pytest.approx(points)


def test_a_case_is_hidden_by_default(tmp_path: Path) -> None:
    made = imported(tmp_path, specification({"code": EXAMPLES}, EXAMPLES))
    assert made.skipped == ("tests/q1.py: case 1 of q1, hidden; it keeps its points",)


def test_hidden_cases_become_items_that_show_no_inputs(tmp_path: Path) -> None:
    imported(tmp_path, specification({"code": EXAMPLES}, EXAMPLES, all_or_nothing=False), hidden=True)
    assert [item.visible for item in load_assignment(tmp_path / "first").items] == [False, True]


def test_cases_do_not_see_what_others_bind(tmp_path: Path) -> None:
    imported(tmp_path, specification(">>> x = 1\n>>> square(x)\n1", ">>> square(x) == x * x\nTrue"))
    tests = (tmp_path / "first" / "test_first.py").read_text(encoding="utf-8")
    assert "def test_01_q1(square):" in tests
    assert "def test_02_q1(square, x):" in tests


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("x = ", "tests/q1.py: it is not Python"),
        ("x = 1", "otter's tests have `test = ...`, or a name and @test_case functions; this has neither"),
        ("test = make()", "its test is computed, but no code is run to import it: write the value out"),
        ("test = {}", "otter's tests have a name and one suite, and this has not"),
        (specification(EXAMPLES, suites=[]), "otter's tests have a name and one suite"),
        (specification(EXAMPLES, suites=[{"cases": [], "setup": "x = 1"}]), "without setup and teardown"),
        (specification(EXAMPLES, suites=[{"cases": [{}]}]), "its cases have no code"),
        (specification(EXAMPLES, points=[1, 2]), "it has 2 points for 1 cases: give as many"),
        (specification(EXAMPLES, points="two"), "its points are 'two': give numbers"),
        (specification({"code": EXAMPLES, "points": 3}), "its cases have 3 points, and it has 2: make them agree"),
    ],
)
def test_errors_are_reported_with_their_location(tmp_path: Path, spec: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        imported(tmp_path, spec)
    assert not (tmp_path / "first").exists()


def test_nothing_of_a_test_file_is_run(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    imported(tmp_path, f"open({str(touched)!r}, 'w').close()\ntest = {specification(EXAMPLES)!r}\n")
    assert not touched.exists()


def test_a_master_a_broken_zip_and_a_missing_file_are_distinguished(tmp_path: Path) -> None:
    master = written(tmp_path / "master.ipynb", notebook({**code("# BEGIN QUESTION\nname: q1"), "cell_type": "raw"}))
    with pytest.raises(InputError, match=r"it is a master: run `otter assign`"):
        import_assignment(master, "first", tmp_path / "first")
    broken = tmp_path / "autograder.zip"
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr("tests/q1.py", "x" * 100)
    broken.write_bytes(broken.read_bytes().replace(b"x" * 100, b"y" * 100))
    with pytest.raises(InputError, match=r"cannot be read .* make the zip again"):
        import_assignment(broken, "first", tmp_path / "first")
    with pytest.raises(InputError, match="does not exist: give a notebook, a folder or a zip"):
        import_assignment(tmp_path / "nowhere", "first", tmp_path / "first")
    written(tmp_path / "hw" / "tests" / "q1.py", json.dumps(1))
    alone = written(tmp_path / "hw" / "hw.ipynb", notebook(code("x = 1")))
    with pytest.raises(InputError, match=r"there is a folder tests beside it: give the folder that holds both"):
        import_assignment(alone, "first", tmp_path / "first")


def test_a_zip_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    bomb = tmp_path / "autograder.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tests/q1.py", "#" * (2**20 + 1))
    with pytest.raises(InputError, match=r"tests/q1.py has more than 1 MiB"):
        import_assignment(bomb, "first", tmp_path / "first")

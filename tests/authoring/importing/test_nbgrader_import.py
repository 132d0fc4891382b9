"""What is imported from nbgrader, and what is not."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from grader.assignment import Assignment, load_assignment
from grader.authoring.importing import ImportedAssignment, import_assignment
from grader.errors import InputError
from tests.support.foreign_assignments import (
    ASSIGNMENTS,
    Cell,
    answer,
    code,
    judging,
    notebook,
    provided,
    text,
    written,
)

SQUARE = answer("def square(x):\n    ### BEGIN SOLUTION\n    return x * x\n    ### END SOLUTION")
RIGHT = judging("assert square(2) == 4")


def imported(folder: Path, *cells: Cell, **options: Any) -> ImportedAssignment:
    path = written(folder / "hw.ipynb", notebook(*cells))
    return import_assignment(path, "first", folder / "first", **options)


def functions_in(folder: Path) -> str:
    return (folder / "first" / "test_first.py").read_text(encoding="utf-8")


def note_in(folder: Path) -> str:
    return (folder / "first" / "IMPORTED.md").read_text(encoding="utf-8")


def rubric_in(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "first" / "rubric.toml").read_text(encoding="utf-8"))


def test_the_sample_becomes_an_assignment(tmp_path: Path) -> None:
    made = import_assignment(ASSIGNMENTS / "temperatures.ipynb", "temperatures", tmp_path / "temperatures")
    assert made.by_tests == ("celsius", "celsius_errors", "week_tests", "thermometer_tests")
    assert made.by_person == ("plot", "kelvin")
    assert made.gaps == ("temperatures.ipynb, cell 12: plot imports matplotlib.pyplot: it is about plots",)
    assert made.skipped == (
        "temperatures.ipynb, cell 5: the hidden tests of celsius (1 statement)",
        "temperatures.ipynb, cell 14: warm_up earns no points",
    )
    assignment = load_assignment(tmp_path / "temperatures")
    assert (assignment.title, assignment.points) == ("Temperatures", 10.5)
    assert {item.id: (item.points, item.names, item.by_person) for item in assignment.items} == {
        "celsius": (2, ("to_celsius",), False),
        "celsius_errors": (1, ("to_celsius",), False),
        "week_tests": (1.5, ("warmest", "by_day"), False),
        "thermometer_tests": (2, ("Thermometer",), False),
        "plot": (1, (), True),
        "kelvin": (3, (), True),
    }
    assert assignment.variables == ("by_day", "warmest")
    assert list(assignment.sections.values()) == ["Conversion", "A week"]


def test_hidden_tests_are_left_out_unless_they_are_asked_for(tmp_path: Path) -> None:
    cells = (
        SQUARE,
        judging("assert square(2) == 4\n### BEGIN HIDDEN TESTS\nassert square(3) == 9\n### END HIDDEN TESTS"),
    )
    (tmp_path / "hidden").mkdir()
    made = imported(tmp_path, *cells)
    assert made.skipped == ("hw.ipynb, cell 2: the hidden tests of tests (1 statement)",)
    assert "square(3)" not in functions_in(tmp_path)
    taken = imported(tmp_path / "hidden", *cells, hidden=True)
    assert taken.skipped == ()
    assert "square(3) == 9" in functions_in(tmp_path / "hidden")
    assert [item.visible for item in load_assignment(tmp_path / "hidden" / "first").items] == [False]


def test_tests_that_are_all_hidden_keep_their_points_for_a_person(tmp_path: Path) -> None:
    hidden = judging("# more\n### BEGIN HIDDEN TESTS\nassert square(3) == 9\n### END HIDDEN TESTS", "more", 3)
    made = imported(tmp_path, SQUARE, RIGHT, hidden)
    assert (made.by_tests, made.by_person, made.points) == (("tests",), ("more",), 4)
    assert made.gaps == ("hw.ipynb, cell 3: more has hidden tests only: --hidden imports them",)


@pytest.mark.parametrize("version", [1, 2, None])
def test_older_metadata_is_refused_and_the_command_that_updates_it_is_named(
    tmp_path: Path, version: int | None
) -> None:
    cell = judging("assert True")
    del cell["metadata"]["nbgrader"]["schema_version"]
    if version is not None:
        cell["metadata"]["nbgrader"]["schema_version"] = version
    with pytest.raises(InputError, match=r"hw.ipynb, cell 1: .* run `nbgrader update hw.ipynb`"):
        imported(tmp_path, cell)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([code("x = 1")], "has no tests"),
        ([SQUARE], "has no tests: no cell and no file in it earns points"),
        ([judging("assert True", points="two")], "has points = 'two': give a number"),
        ([judging("assert True", points=True)], "has points = True: give a number"),
        ([judging("assert True", points=-1)], "has points = -1: give a number"),
        ([judging("assert True", points=float("nan"))], "has points = nan: give a number"),
        ([judging("assert True", identifier="")], "has no grade_id: give it one"),
        ([judging("assert True", schema_version=4)], "has version 4, but only 3 is supported"),
        ([judging("### BEGIN HIDDEN TESTS\nassert True")], "hidden tests begin and never end"),
        ([judging("### BEGIN HIDDEN TESTS\n### BEGIN HIDDEN TESTS")], "hidden tests begin inside hidden tests"),
        ([SQUARE, judging("open('a')")], r"no tests that can be run apart .*cell 2: tests uses open"),
    ],
)
def test_errors_are_reported_with_their_location(tmp_path: Path, cells: list[Cell], message: str) -> None:
    with pytest.raises(InputError, match=message):
        imported(tmp_path, *cells)
    assert not (tmp_path / "first").exists()


def test_strict_writes_nothing_if_a_test_is_not_translated(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cell 3: other imports os: .* leave --strict out to have a person mark it"):
        imported(tmp_path, SQUARE, RIGHT, judging("import os\nassert os.path.exists('a')", "other"), strict=True)
    assert not (tmp_path / "first").exists()


def test_the_author_s_words_stay_as_they_are(tmp_path: Path) -> None:
    source = "# two times two\nassert square(2) == 4, '''not\n    four'''\n\nassert square(  3) == 9  # three"
    imported(tmp_path, SQUARE, judging(source), judging("# two times two\nassert square(2) == 4  # four\n", "again"))
    assert "    # two times two\n    assert square(2) == 4  # four\n" in functions_in(tmp_path)
    assert r"'not\n    four'" in functions_in(tmp_path)


def test_ids_are_made_fit_for_gradebooks_and_different(tmp_path: Path) -> None:
    hostile = 'a"]\n[[items]]\nid = "b"""\\'
    made = imported(
        tmp_path, SQUARE, judging("assert square(2) == 4", hostile), RIGHT, RIGHT, text('# T\n\n## `S` "x"\n')
    )
    assert made.by_tests == ("a_items_id_b", "tests", "tests_2")
    assert [item["title"] for item in rubric_in(tmp_path)["items"]] == [hostile, "tests", "tests"]
    compile(functions_in(tmp_path), "test_first.py", "exec")


def test_nothing_of_the_source_is_run(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    source = f"from pathlib import Path\nPath({str(touched)!r}).write_text('run')\n"
    imported(tmp_path, code(source), provided(source), SQUARE, RIGHT, judging(source + "assert square(2) == 4", "more"))
    assert not touched.exists()


def test_the_note_lists_every_item_and_what_was_skipped(tmp_path: Path) -> None:
    imported(tmp_path, SQUARE, RIGHT, judging("assert square(2)\nsquare", "partial", 2), judging("pass", "nothing", 0))
    note = note_in(tmp_path)
    assert "2 items with 3 points." in note
    assert "- tests: 1 point, from hw.ipynb, cell 2; uses square" in note
    assert "- partial: 2 points, hw.ipynb, cell 3: ends in a value, which nbgrader takes for a partial score" in note
    assert "- hw.ipynb, cell 4: nothing earns no points" in note


def test_an_assignment_has_the_name_of_its_folder_and_nothing_is_overwritten(tmp_path: Path) -> None:
    path = written(tmp_path / "hw.ipynb", notebook(SQUARE, RIGHT))
    with pytest.raises(InputError, match=r"an assignment has the name of its folder: give --out .../first"):
        import_assignment(path, "first", tmp_path / "second")
    with pytest.raises(InputError, match="is a Python module"):
        import_assignment(path, "json", tmp_path / "json")
    written(tmp_path / "first" / "mine", "mine")
    with pytest.raises(InputError, match="exists already, and nothing was changed"):
        import_assignment(path, "first", tmp_path / "first")
    assert [each.name for each in (tmp_path / "first").iterdir()] == ["mine"]


def test_an_imported_assignment_can_be_loaded_like_any_other(tmp_path: Path) -> None:
    imported(tmp_path, text("# Squares"), SQUARE, RIGHT)
    assignment: Assignment = load_assignment(tmp_path / "first")
    assert assignment.packages == ("torch", "numpy")
    assert (assignment.title, assignment.name) == ("Squares", "first")


def test_code_that_is_nested_too_deeply_is_refused_and_odd_escapes_are_not(tmp_path: Path) -> None:
    (tmp_path / "odd").mkdir()
    imported(tmp_path / "odd", SQUARE, judging("assert square(2) == 4, '\\d'"))
    for deep in ("(" * 5000, "-" * 50_000 + "1", "+".join("1" * 20_000)):
        with pytest.raises(InputError, match=r"nested too deeply|is not plain Python"):
            imported(tmp_path, SQUARE, judging(f"assert square({deep}) == 4"))

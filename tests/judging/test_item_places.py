"""Items are placed at the line of the student's code that binds their name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from grader.assignment import Item
from grader.judging.item_places import ItemPlaces
from grader.judging.states import CandidateState
from grader.place import Place
from grader.student import Definition
from grader.submission.submission import Cell, Notebook
from tests.support.in_process_work import InProcessWork

DOUBLE = Item("double", "1", "Doubles", 3, ("double", "half"))
FILE = "homework.ipynb"


def places(*cells: str, files: Mapping[str, Sequence[str]] | None = None) -> tuple[ItemPlaces, InProcessWork]:
    files = files or {FILE: cells}
    notebooks = [
        Notebook(name, "", tuple(Cell(number, "code", source) for number, source in enumerate(sources)), {})
        for name, sources in files.items()
    ]
    work = InProcessWork(files=files)
    return ItemPlaces(work, notebooks), work


def state(cell: int, part: int = 0, *, at_end: bool = False, name: str = "double") -> CandidateState:
    return CandidateState(Definition(FILE, cell, frozenset({name}), part, at_end))


@pytest.mark.parametrize(
    ("source", "line", "code"),
    [
        ("def double(x):\n    return 2 * x", 1, "def double(x):"),
        ("# doubles\n\n@staticmethod\ndef double(x): ...", 4, "def double(x): ..."),
        ("%%time\nimport math\ndouble = lambda x: 2 * x", 3, "double = lambda x: 2 * x"),
        ("if True:\n    class double: pass", 2, "class double: pass"),
        ("def double(x): return x\ndef double(x): return 2 * x", 2, "def double(x): return 2 * x"),
        ("def double(x): return x\n# double = 3\ndef f(): double = 1", 1, "def double(x): return x"),
        ("def double(x):\n    return 2 * x\nprint 'no Python 3'", 1, "def double(x):"),
    ],
)
def test_a_definition_is_placed_at_its_own_line(source: str, line: int, code: str) -> None:
    cells = tuple(Cell(number, "code", source) for number, source in enumerate(("x = 1", source)))
    found = ItemPlaces(InProcessWork(), [Notebook(FILE, "", cells, {})])
    assert found.find_item(DOUBLE, state(1)) == Place(FILE, 1, line, code)


def test_each_definition_of_a_cell_has_its_own_line() -> None:
    found, work = places("def double(x): return x\ndef double(x): return 2 * x")
    both = [Definition(FILE, 0, frozenset({"double"}), part) for part in (1, 2)]
    work.bindings = [(definition, work.bindings[-1][1]) for definition in both]
    work.definitions = lambda names: both  # type: ignore[method-assign]
    assert [found.find_item(DOUBLE, CandidateState(definition)) for definition in both] == [
        Place(FILE, 0, 1, "def double(x): return x"),
        Place(FILE, 0, 2, "def double(x): return 2 * x"),
    ]


def test_a_state_after_another_name_is_placed_at_the_items_own_definition() -> None:
    found, _ = places("def double(x): return x / half(1)", "def half(x): return x / 2")
    assert found.find_item(DOUBLE, state(1, name="half")) == Place(FILE, 0, 1, "def double(x): return x / half(1)")


def test_what_was_found_under_another_name_is_placed_at_that_name() -> None:
    found, _ = places("def twice(x): return 2 * x")
    assert found.find_item(DOUBLE, CandidateState(state(0).definition, {}, "twice")) == Place(
        FILE, 0, 1, "def twice(x): return 2 * x"
    )


def test_without_the_notebooks_only_the_cell_is_known() -> None:
    work = InProcessWork("x = 1", "def double(x): return 2 * x")
    assert ItemPlaces(work).find_item(DOUBLE, state(1)) == Place(FILE, 1)
    assert ItemPlaces(work).find_item(DOUBLE, CandidateState(None)) is None


@pytest.mark.parametrize(
    ("source", "name", "expected"),
    [
        ("X = 1\nY = corr2d(X)", "Y", Place(FILE, 0, 2, "Y = corr2d(X)")),
        ("X = 1\ncorr2d(\n  X)", "_", Place(FILE, 0, 2, "corr2d(")),
        ("X = 1", "_", Place(FILE, 0)),
        ("X = 1", "Z", Place(FILE, 0)),
        ("x = (", "_", Place(FILE, 0)),
    ],
)
def test_a_value_is_placed_at_the_line_that_binds_or_displays_it(source: str, name: str, expected: Place) -> None:
    found, _ = places(source if source != "x = (" else "x = 1")
    if source == "x = (":
        found = ItemPlaces(InProcessWork(), [Notebook(FILE, "", (Cell(0, "code", source),), {})])
    assert found.complete(Place(FILE, 0), name) == expected


def test_a_line_that_the_cell_does_not_have_is_left_out_and_a_long_one_is_shortened() -> None:
    found, _ = places("x = 1\ny = '" + "a" * 500 + "'")
    assert found.complete(Place(FILE, 0, 3)) == Place(FILE, 0)
    assert found.complete(Place(FILE, 0, 1, "forged", "f")) == Place(FILE, 0, 1, "x = 1", "f")
    assert found.complete(Place(FILE, 9, 1)) == Place(FILE, 9)
    assert len(found.complete(Place(FILE, 0, 2)).code) == 160

"""Places are told to people as front ends show them: cells and lines count from 1."""

from __future__ import annotations

import pytest

from grader.place import Place, describe_cell


@pytest.mark.parametrize(
    ("index", "total", "text"),
    [
        (0, None, "cell 1"),
        (0, 26, "cell 1 of 26"),
        (25, 26, "cell 26 of 26"),
        (26, 26, "cell 27"),
    ],
)
def test_cells_count_from_1_and_are_never_beyond_their_number(index: int, total: int | None, text: str) -> None:
    assert describe_cell(index, total) == text


def test_a_place_names_file_cell_and_line() -> None:
    place = Place("hw2.ipynb", 16, 9, "return Y")
    assert place.describe() == "hw2.ipynb, cell 17, line 9"
    assert place.describe(26) == "hw2.ipynb, cell 17 of 26, line 9"
    assert Place("hw2.ipynb", 16).describe(26) == "hw2.ipynb, cell 17 of 26"


def test_in_a_file_of_one_cell_the_line_says_enough() -> None:
    assert Place("layers.py", 0, 9).describe(1) == "layers.py, line 9"
    assert Place("layers.py", 0).describe(1) == "layers.py, cell 1 of 1"

"""The first line of a cell's source is found in the file, in every encoding and layout."""

from __future__ import annotations

import json

import pytest

from grader.render import cell_lines as module
from grader.render.cell_lines import locate_lines
from tests.support.paths import EXAMPLE

CELLS = [
    {"cell_type": "markdown", "source": 'a "quoted" [text] {with} brackets, \\ and\n: a colon'},
    {"cell_type": "code", "source": ["first\n", "second\n", "third"], "outputs": [{"text": ["source", '"cells": [']}]},
    {"cell_type": "code", "source": []},
    {"cell_type": "code"},
]


def written(indent: int | None = 1, cells: object = CELLS) -> str:
    return json.dumps({"metadata": {"cells": [], "source": "x"}, "cells": cells, "nbformat": 4}, indent=indent)


def test_the_public_names_are_sorted() -> None:
    assert module.__all__ == sorted(module.__all__)


def test_every_cell_of_the_example_begins_at_the_line_that_holds_its_source() -> None:
    data = EXAMPLE.read_bytes()
    lines = data.decode().split("\n")
    cells = json.loads(data)["cells"]
    found = locate_lines(data)
    assert len(found) == len(cells)
    for cell, (first, last) in zip(cells, found, strict=True):
        assert json.loads(lines[first - 1].strip().removesuffix(",")) == cell["source"][0]
        assert json.loads(lines[last - 1].strip().removesuffix(",")) == cell["source"][-1]


def test_sources_that_are_text_lists_empty_or_missing_have_a_line() -> None:
    text = written()
    lines = text.split("\n")
    (one, also_one), (first, last), (empty, _), (none, _) = locate_lines(text.encode())
    assert "a colon" in lines[one - 1]
    assert one == also_one
    assert "first" in lines[first - 1]
    assert "third" in lines[last - 1]
    assert lines[empty - 1].strip() == '"source": []'
    assert lines[none - 1].strip() == "{"


def test_a_file_of_one_line_has_everything_in_its_first_line() -> None:
    assert locate_lines(written(indent=None).encode()) == [(1, 1)] * len(CELLS)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_and_line_ends_do_not_matter(encoding: str) -> None:
    text = written().replace("\n", "\r\n")
    assert locate_lines(text.encode(encoding)) == locate_lines(written().encode())


def test_of_duplicate_cells_keys_the_last_counts() -> None:
    text = '{"cells": [{"source": "one"}],\n"cells": [{"source": "a"},\n{"source": "b", "source":\n"c"}]}'
    assert locate_lines(text.encode()) == [(2, 2), (4, 4)]


def test_format_3_has_its_cells_in_worksheets_and_its_code_in_input() -> None:
    text = '{"nbformat": 3, "worksheets": [\n{"cells": [{"input": "a"}]},\n{"cells": [\n{"source": "b"}]}]}'
    assert locate_lines(text.encode()) == [(2, 2), (4, 4)]


def test_a_notebook_without_cells_has_no_lines() -> None:
    assert locate_lines(b'\n{"cells": [ ]}') == []

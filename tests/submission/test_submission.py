"""Notebooks are read within bounds, whatever wrote them, and what is none is refused in one line."""

import json
import time
from importlib.metadata import version
from types import ModuleType
from typing import Any

import nbformat
import pytest

from grader.errors import SubmissionError
from grader.results.notice import Notice
from grader.submission import notebook_json, submission
from grader.submission.submission import Bounds, Cell, Notebook, read_notebook

NBFORMAT: Any = nbformat  # it has no types
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def code(source: Any, **others: Any) -> dict[str, Any]:
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": source, **others}


def document(*cells: Any, **others: Any) -> dict[str, Any]:
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells), **others}


def read(content: Any, **bounds: int) -> Notebook:
    data = content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode()
    return read_notebook("hw2.ipynb", data, Bounds(**bounds))


def refusal(content: Any, **bounds: int) -> str:
    with pytest.raises(SubmissionError) as caught:
        read(content, **bounds)
    message = str(caught.value)
    assert message.startswith("hw2.ipynb: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("module", [submission, notebook_json])
def test_the_public_names_are_sorted(module: ModuleType) -> None:
    assert module.__all__ == sorted(module.__all__, key=lambda name: (not name.isupper(), name))


# What is read


def test_cells_keep_their_index_among_all_cells() -> None:
    cells = (
        code("x = 1"),
        {"cell_type": "markdown", "source": "# 제목"},
        {"cell_type": "raw", "source": ""},
        code("y"),
    )
    assert read(document(*cells)).cells == (
        Cell(0, "code", "x = 1"),
        Cell(1, "markdown", "# 제목"),
        Cell(2, "raw", ""),
        Cell(3, "code", "y"),
    )


def test_reading_agrees_with_nbformat_on_a_regular_notebook() -> None:
    cells = [
        NBFORMAT.v4.new_markdown_cell("# 1"),
        NBFORMAT.v4.new_code_cell("a = 1\nb = 2"),
        NBFORMAT.v4.new_raw_cell("r"),
    ]
    text = NBFORMAT.writes(NBFORMAT.v4.new_notebook(cells=cells))
    expected = [(cell.cell_type, cell.source) for cell in NBFORMAT.reads(text, as_version=4).cells]
    assert [(cell.kind, cell.source) for cell in read(text.encode()).cells] == expected


def test_format_3_is_upgraded_as_nbformat_does_it() -> None:
    old = NBFORMAT.v3
    cells = [
        old.new_heading_cell("Convolutions\n", level=2),
        old.new_code_cell("x = 1", prompt_number=1, outputs=[old.new_output("pyout", "1", prompt_number=1)]),
        old.new_text_cell("markdown", "text"),
        old.new_text_cell("html", "<b>text</b>"),
    ]
    sheets = [old.new_worksheet(cells=cells[:2]), old.new_worksheet(cells=cells[2:])]
    text = old.writes_json(old.new_notebook(worksheets=sheets, metadata=old.new_metadata(name="hw2")))
    expected = [(cell.cell_type, cell.source) for cell in NBFORMAT.reads(text, as_version=4).cells]
    assert [(cell.kind, cell.source) for cell in read(text.encode()).cells] == expected


def test_a_heading_of_absurd_level_is_a_heading() -> None:
    levels: list[Any] = [10**12, -1, "2", None, [], 2.5]
    for level in levels:
        sheet = {"cells": [{"cell_type": "heading", "level": level, "source": ["Title"]}]}
        assert read({"nbformat": 3, "worksheets": [sheet]}).cells == (Cell(0, "markdown", "# Title"),)


@pytest.mark.parametrize(
    "content",
    [
        document(code("x = 1", id=7, unknown=1), unknown={}),
        document({"cell_type": "code", "source": ["x =", " 1"]}),
        {"cells": [{"cell_type": "code", "source": "x = 1"}]},
        document(code("x = 1"), metadata=None, nbformat_minor="5"),
        document(code("x = 1", metadata=[], outputs="none", execution_count="*")),
        document({"cell_type": "code", "input": "x = 1"}),
        {"nbformat": 4, "worksheets": [{"cells": [{"cell_type": "code", "input": "x = 1"}]}]},
    ],
)
def test_schema_slips_do_no_harm(content: Any) -> None:
    notebook = read(content)
    assert notebook.cells == (Cell(0, "code", "x = 1"),)
    assert notebook.metadata["kernelspec"] == KERNEL
    assert notebook.notices == ()


@pytest.mark.parametrize("source", [None, "", []])
def test_a_cell_without_a_source_is_empty(source: Any) -> None:
    assert read(document(code(source), {"cell_type": "code"})).cells == (Cell(0, "code", ""), Cell(1, "code", ""))


def test_stored_outputs_are_left_behind() -> None:
    stored = {"output_type": "stream", "name": "stdout", "text": "forged"}
    assert "forged" not in repr(read(document(code("x = 1", outputs=[stored]))))


def test_metadata_stays_and_an_unknown_kernel_becomes_python() -> None:
    colab = {"provenance": [], "gpuType": "T4"}
    for kernel in ({}, {"name": "my-env"}, {"name": None, "language": "Python"}, {"language": 3}):
        notebook = read(document(metadata={"colab": colab, "kernelspec": kernel, "language_info": {"name": "ipython"}}))
        assert notebook.metadata["kernelspec"] == KERNEL
        assert notebook.metadata["colab"] == colab
        assert notebook.notices == ()


@pytest.mark.parametrize("metadata", [{"kernelspec": {"language": "R"}}, {"language_info": {"name": "R"}}])
def test_a_notebook_in_another_language_is_read_as_python_with_a_notice(metadata: dict[str, Any]) -> None:
    notebook = read(document(code("x <- 1"), metadata=metadata))
    assert notebook.cells == (Cell(0, "code", "x <- 1"),)
    assert notebook.notices == (Notice("its metadata names the language R; it was run as Python", file="hw2.ipynb"),)


@pytest.mark.parametrize("kind", ["sql", None, [], 3])
def test_a_cell_of_unknown_type_is_not_run_and_leaves_a_notice(kind: Any) -> None:
    notebook = read(document({"cell_type": kind, "source": "select"}))
    assert notebook.cells == (Cell(0, "raw", "select"),)
    assert str(notebook.notices[0]) == "hw2.ipynb, cell 1: its type is unknown, so it was not run"


def test_installs_are_taken_out_of_code_and_leave_one_notice_a_cell() -> None:
    text = "!pip install d2l\n!pip install torch\nx = 1"
    notebook = read(document({"cell_type": "markdown", "source": text}, code(text)))
    assert [cell.source for cell in notebook.cells] == [text, "pass\npass\nx = 1"]
    assert [str(notice) for notice in notebook.notices] == [
        "hw2.ipynb, cell 2: `!pip install d2l` and 1 more were not run, because there is no network while this is "
        f"graded. Installed in this grader: d2l {version('d2l')}, torch {version('torch')}."
    ]


def test_the_notice_of_a_long_install_is_short() -> None:
    notice = read(document(code("!pip install " + "d2l " * 1000))).notices[0]
    assert len(notice.text) < 250


@pytest.mark.parametrize("newline", ["\r\n", "\r", "\n"])
def test_every_line_ends_alike(newline: str) -> None:
    assert read(document(code(f"x = 1{newline}y = 2"))).cells[0].source == "x = 1\ny = 2"
    text = json.dumps(document(code("x = 1")), indent=1).replace("\n", newline)
    assert read(text.encode()).cells == (Cell(0, "code", "x = 1"),)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_byte_order_marks_are_understood(encoding: str) -> None:
    text = json.dumps(document(code("제목 = 1")), ensure_ascii=False)
    assert read(text.encode(encoding)).cells[0].source == "제목 = 1"


def test_half_of_a_surrogate_pair_is_replaced() -> None:
    assert read(b'{"cells": [{"cell_type": "code", "source": "x = \'\\ud800\'"}]}').cells[0].source == "x = '?'"


def test_a_notebook_without_cells_is_read() -> None:
    assert read(document()).cells == ()


# What is refused


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b" \n", "the file is empty"),
        (b"\xef\xbb\xbf", "the file is empty"),
        (b'{"cells": [\n  {"a": 1},\n', "no valid JSON (the file is cut off): expecting value at line 3, column 1"),
        (b"print('hello')", "no valid JSON: expecting value at line 1, column 1"),
        (b'{"cells": [] }}', "no valid JSON: extra data at line 1, column 15"),
        (b'{"cells": "\xff"}', "no valid text: byte 11 is not UTF-8"),
        (b"\xff\xfe{", "no valid text: byte 2 is not UTF-16-LE"),
        (b"9" * 10_000, "its JSON is past what can be read"),
        ([], "no notebook: its JSON is a list"),
        (3, "no notebook: its JSON is a number"),
        ("text", "no notebook: its JSON is text"),
        (None, "no notebook: its JSON is null"),
        ({}, "no notebook: it has no cells"),
        ({"worksheets": [{}]}, "no notebook: it has no cells"),
        ({"worksheets": [3]}, "no notebook: it has no cells"),
        ({"worksheets": 3}, "no notebook: it has no cells"),
        (document(cells={"a": 1}), "no notebook: its cells are an object, not a list"),
        (document("x = 1"), "no notebook: cell 1 is text, not an object"),
        (document(code("x"), code(3)), "no notebook: the source of cell 2 is not text"),
        (document(code(["x", 3])), "no notebook: the source of cell 1 is not text"),
        (document(nbformat=1), "its notebook format is 1, and only 3 and 4 are read"),
        (document(nbformat=2), "its notebook format is 2, and only 3 and 4 are read"),
        (document(nbformat=5), "its notebook format is 5, and only 3 and 4 are read"),
        (document(nbformat="four\n" * 1000), "its notebook format is 'four\\nfour"),
    ],
)
def test_what_is_no_notebook_is_refused_in_one_line(content: Any, reason: str) -> None:
    message = refusal(content)
    assert message.startswith(f"hw2.ipynb: {reason}")
    assert "; " in message  # what to do next
    assert len(message) < 200


def test_a_file_past_its_size_is_refused_before_it_is_parsed() -> None:
    assert "100.0 MB that are read; clear its outputs" in refusal(b"{" * (100 * 2**20 + 1))
    assert refusal(b"x" * 11, file_bytes=10)


def test_too_many_cells_are_refused() -> None:
    assert len(read(document(*[code("")] * 5000)).cells) == 5000
    assert "5,001 cells, more than the 5,000" in refusal(document(*[code("")] * 5001))


@pytest.mark.parametrize(
    "content", [b"[" * 200_000, b'{"a":' * 200_000, b'{"cells": ' + b"[" * 101 + b"]" * 101 + b"}"]
)
def test_deep_nesting_is_refused_before_it_is_parsed(content: Any) -> None:
    assert "nested deeper than 100 levels" in refusal(content)


def test_brackets_in_strings_do_not_nest() -> None:
    source = '[{"\\[' * 1000
    assert read(document(code(source), code('"' + "[" * 1000 + "\\"))).cells[0].source == source


def test_a_file_of_many_tiny_values_is_refused_before_it_is_parsed() -> None:
    assert "more than 10,000,000 values" in refusal(b"[" + b"[]," * 4_000_000 + b"0]")
    assert "more than 10,000,000 values" in refusal(b'"' * 50_000_000)


def test_ninety_megabytes_in_one_line_are_read_in_a_few_seconds() -> None:
    started = time.process_time()
    notebook = read(document(code("!pip " + "x'" * 45_000_000)))
    assert len(notebook.cells[0].source) == 90_000_005
    assert time.process_time() - started < 10

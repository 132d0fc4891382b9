"""Executed notebooks are valid notebooks, whatever was handed in and whatever it showed."""

from __future__ import annotations

import json

import nbformat
import pytest

from grader.assignment import Assignment
from grader.collection import read_submission
from grader.errors import InputError
from grader.grading.grade import grade
from grader.results.report import CellResult
from grader.sandbox.host.sandbox import Zygote
from grader.submission.executed_notebook import (
    ExecutedNotebook,
    decode_executed_notebooks,
    encode_executed_notebooks,
    make_executed_notebook,
)
from grader.submission.submission import Notebook, read_notebook
from tests.support.notebooks import CORR2D, submission
from tests.support.paths import SUBMISSIONS

OUTPUT = {"output_type": "stream", "name": "stdout", "text": "\u2028 <b> \x7f 가\n"}


def of(*kinds_and_sources: tuple[str, str]) -> Notebook:
    cells = [{"cell_type": kind, "source": source, "metadata": {}} for kind, source in kinds_and_sources]
    return read_notebook("homework.ipynb", json.dumps({"cells": cells, "nbformat": 4, "metadata": {}}).encode())


def made(notebook: Notebook) -> ExecutedNotebook:
    ends = {("homework.ipynb", 1): CellResult("homework.ipynb", 1, "timed out", "ran past 60 s")}
    return make_executed_notebook(notebook, ends, {("homework.ipynb", 1): [OUTPUT], ("other.ipynb", 0): [OUTPUT]})


def test_text_and_code_stand_in_their_order_with_what_was_shown() -> None:
    executed = made(of(("markdown", "# One"), ("code", "x = 1"), ("raw", "y"), ("code", "")))
    document = json.loads(executed.to_json())
    nbformat.validate(document)
    assert [(cell["cell_type"], cell["source"]) for cell in document["cells"]] == [
        ("markdown", "# One"), ("code", "x = 1"), ("raw", "y"), ("code", "")
    ]  # fmt: skip
    shown, end = document["cells"][1]["outputs"]
    assert shown == OUTPUT
    assert end["text"] == "grader: timed out: ran past 60 s\n"
    assert document["cells"][3]["outputs"] == []


def test_cells_that_ran_and_their_results_are_numbered_as_in_jupyter() -> None:
    result = {"output_type": "execute_result", "data": {"text/plain": "1"}, "metadata": {}, "execution_count": None}
    notebook = of(("code", "1"), ("markdown", "x"), ("code", ""), ("code", "2"), ("code", "3"))
    statuses = {0: "ok", 3: "raised", 4: "not run"}
    ends = {("homework.ipynb", cell): CellResult("homework.ipynb", cell, status) for cell, status in statuses.items()}
    executed = make_executed_notebook(notebook, ends, {("homework.ipynb", 3): [result]})
    assert [cell.get("execution_count") for cell in executed.cells] == [1, None, None, 2, None]
    assert executed.cells[3]["outputs"][0]["execution_count"] == 2


def test_they_are_read_as_they_were_written() -> None:
    notebooks = (made(of(("markdown", "\ud800"), ("code", "x = 1"))), ExecutedNotebook("empty", ()))
    text = encode_executed_notebooks(notebooks)
    assert decode_executed_notebooks(text.encode().decode()) == notebooks


@pytest.mark.parametrize(
    "text", ["", "{}}", "5", '{"a": 1}', '[{"name": "x"}]', '[{"name": "x", "cells": [5]}]', "[" * 10**5]
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="not executed notebooks"):
        decode_executed_notebooks(text)


def test_endless_text_is_cut() -> None:
    executed = made(of(*[("markdown", "x" * 1_000_000)] * 30))
    assert len(executed.to_json()) < 5_000_000
    assert "kept no more" in executed.cells[-1]["source"]


def test_grading_hands_them_out_and_reports_the_same_as_without(zygote: Zygote, hw2: Assignment) -> None:
    work = submission(CORR2D, "corr2d(torch.ones(2, 2), torch.ones(1, 1))", "import os\nos._exit(3)", "print('on')")
    handed_out: list[ExecutedNotebook] = []
    with_them, without = grade(work, hw2, zygote, executed=handed_out.extend), grade(work, hw2, zygote)
    assert with_them.canonical() == without.canonical()
    (executed,) = handed_out
    nbformat.validate(json.loads(executed.to_json()))
    shown = [
        [output.get("text") or output["data"]["text/plain"] for output in cell["outputs"]] for cell in executed.cells
    ]
    assert shown[:2] == [[], ["tensor([[1., 1.],\n        [1., 1.]])"]]
    assert "ended the kernel" in shown[2][0]
    assert shown[3] == ["on\n"]


def test_two_notebooks_are_handed_out_apart(zygote: Zygote, hw2: Assignment) -> None:
    work = read_submission(sorted((SUBMISSIONS / "two_notebooks").glob("*.ipynb")))
    handed_out: list[ExecutedNotebook] = []
    grade(work, hw2, zygote, executed=handed_out.extend)
    assert [item.name for item in handed_out] == [item.name for item in work.notebooks]
    assert [len(item.cells) for item in handed_out] == [len(item.cells) for item in work.notebooks]

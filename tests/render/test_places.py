"""Every format counts cells from 1, as the front ends of notebooks do: here the very first cell is at fault."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from grader.assignment import Assignment
from grader.gradebook import GradebookEntry, fill_moodle
from grader.render.classroom import render_classroom
from grader.render.github import render_github, render_step_summary
from grader.render.gradescope import render_gradescope
from grader.render.hints import render_hints
from grader.render.html import render_html
from grader.render.junit import render_junit
from grader.render.markdown import render_markdown
from grader.render.places import describe_item_place, quote_place
from grader.render.prairielearn import render_prairielearn
from grader.render.terminal import render_terminal
from grader.render.watch import render_live_view
from grader.results.notice import CellStop, Notice
from grader.results.report import CellResult, File, ItemResult, Report, Verdict
from tests.support.html_pages import Page

ITEM = ItemResult(
    "corr2d.values", "7.2.1", "Values", 0, 6, Verdict.FAILED, "is flipped", "hw2.ipynb", 0, line=3, code="return Y + 1"
)
ANSWER = ItemResult(
    "discussion.7.2", "7.2", "Discussion", 0, 1, Verdict.PENDING, "waits", "hw2.ipynb", 0,
    {"kind": "discussion", "text": "words", "cells": [{"file": "hw2.ipynb", "cell": 0}]},
)  # fmt: skip
OWN = {"file": "hw2.ipynb", "cell": 0, "optimizer": "SGD", "findings": [{"text": "too high a rate"}]}
TRAINED = ItemResult(
    "lenet.training", "7.6", "Training", 0, 8, Verdict.FAILED, "does not learn", "hw2.ipynb", 0,
    {"training": {"recipe": "1 epoch", "threshold": 0.7, "evidence": "", "runs": [], "own": [OWN]}},
)  # fmt: skip
REPORT = Report(
    "hw2",
    "Homework 2",
    "revision",
    (File("hw2.ipynb", "0" * 64, 26),),
    (ITEM, ANSWER, TRAINED),
    cells=(CellResult("hw2.ipynb", 0, "raised", "stopped at line 3", (CellStop(3, "ValueError"),)),),
    notices=(Notice("was not run", file="hw2.ipynb", cell=0),),
)


def render_in_terminal(width: int) -> str:
    output = io.StringIO()
    render_terminal(REPORT, Console(file=output, width=width))
    return " ".join(output.getvalue().split())


def render_watched() -> str:
    output = io.StringIO()
    Console(file=output, width=200).print(render_live_view(REPORT, (), {}, "", "", 40))
    return output.getvalue()


def fill_feedback() -> str:
    sheet = 'Identifier,"Full name",Grade,"Maximum Grade","Feedback comments"\n"Participant 101",Kim,,10.00,\n'
    return fill_moodle(sheet, [GradebookEntry("kim", "Kim", {"moodle_participant": "101"}, REPORT)]).text


FORMATS: dict[str, Callable[[], str]] = {
    "terminal": lambda: render_in_terminal(80),
    "narrow terminal": lambda: render_in_terminal(44),
    "watch": render_watched,
    "markdown": lambda: render_markdown(REPORT),
    "summary of a step": lambda: render_step_summary(REPORT),
    "github": lambda: render_github(REPORT, {"hw2.ipynb": Path("hw2.ipynb")}, Path.cwd()),
    "junit": lambda: render_junit(REPORT),
    "gradescope": lambda: render_gradescope(REPORT),
    "prairielearn": lambda: render_prairielearn(REPORT),
    "classroom": lambda: base64.b64decode(render_classroom(REPORT)).decode(),
    "page": lambda: Page(render_html(REPORT)).text,
    "feedback in Moodle": fill_feedback,
}


@pytest.mark.parametrize("name", FORMATS)
def test_the_first_cell_is_cell_1(name: str) -> None:
    text = FORMATS[name]()
    numbers = re.findall(r"\bcells? (\d+)", text)
    assert numbers
    assert set(numbers) == {"1"}
    assert "cell 1 of 26" in text


@pytest.mark.parametrize("name", sorted(FORMATS.keys() - {"watch", "page", "feedback in Moodle"}))
def test_the_line_of_code_is_quoted(name: str) -> None:
    text = FORMATS[name]().replace("%2C", ",").replace("\\", "")
    assert "cell 1 of 26, line 3" in text
    assert "return Y + 1" in text


def test_hints_count_cells_from_1(hw2: Assignment) -> None:
    ((_, text),) = render_hints(hw2, [ITEM], 1, "", {"hw2.ipynb": 26})
    assert "hw2.ipynb, cell 1 of 26, line 3\n      return Y + 1" in text


def test_json_keeps_indexes_and_says_where_they_begin() -> None:
    values = json.loads(REPORT.to_json())
    assert values["cell_index_base"] == 0
    assert {values["items"][0]["cell"], values["cells"][0]["cell"], values["notices"][0]["cell"]} == {0}


def test_an_item_that_passed_or_has_no_place_quotes_nothing() -> None:
    assert list(quote_place(REPORT, replace(ITEM, verdict=Verdict.PASSED))) == []
    assert list(quote_place(REPORT, ITEM.stand_at(None))) == []
    assert describe_item_place(REPORT, ITEM.stand_at(None)) == ""
    assert describe_item_place(REPORT, replace(ITEM, cell=None)) == "hw2.ipynb"
    assert describe_item_place(REPORT, replace(ITEM, file="other\n.ipynb")) == "other .ipynb, cell 1, line 3"

"""Every format says which layers of the sandbox did not hold, and none says anything if all did."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import xmlschema
from rich.console import Console

from grader.gradebook import GradebookEntry, fill_canvas, write_plain_csv
from grader.render.classroom import render_classroom
from grader.render.github import render_github, render_step_summary
from grader.render.gradescope import render_gradescope
from grader.render.html import render_body, render_html
from grader.render.junit import render_junit
from grader.render.markdown import render_markdown
from grader.render.overview import render_overview
from grader.render.prairielearn import render_prairielearn
from grader.render.terminal import render_terminal
from grader.results.journal import JournalRecord, Status
from grader.results.overview import summarise
from grader.results.report import Report
from grader.sandbox.protocol.layers import LayerStatus
from tests.support.gradebook_entries import report
from tests.support.paths import ROOT

COMPLETE = replace(report(), layers=(LayerStatus("net namespace", True),))
WITHOUT = replace(report(), layers=(LayerStatus("net namespace", False, "the limit on namespaces is reached"),))
RECORD = JournalRecord("kim", "Kim", {}, "r1", "none", Status.GRADED, report="kim.json")


def render_in_terminal(made: Report) -> str:
    output = io.StringIO()
    render_terminal(made, Console(file=output, width=100, force_terminal=False))
    return output.getvalue()


def make_entry(made: Report) -> GradebookEntry:
    return GradebookEntry("kim", "Kim", {"canvas_id": "1"}, made)


FORMATS: dict[str, Callable[[Report], str]] = {
    "terminal": render_in_terminal,
    "markdown": render_markdown,
    "github": lambda made: render_github(made, {}, Path("/")),
    "summary of a step": render_step_summary,
    "junit": render_junit,
    "gradescope": render_gradescope,
    "prairielearn": render_prairielearn,
    "classroom": lambda made: base64.b64decode(render_classroom(made)).decode(),
    "gradebook": lambda made: write_plain_csv([make_entry(made)]),
    "gradebook for an LMS": lambda made: "".join(fill_canvas(None, [make_entry(made)], "hw2").notices),
    "page": render_html,
    "summary": lambda made: render_overview(summarise([(RECORD, made)])),
    "summary as JSON": lambda made: json.dumps(summarise([(RECORD, made)]).to_dict()["missing_layers"]),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_missing_layer_is_named(name: str) -> None:
    assert "net namespace" in FORMATS[name](WITHOUT)
    assert "net namespace" not in FORMATS[name](COMPLETE)


def test_a_page_for_staff_and_json_list_every_layer() -> None:
    for made in (COMPLETE, WITHOUT):
        assert "net namespace" in render_body(made, for_staff=True)
        assert "net namespace" in made.to_json()
    assert "the limit on namespaces is reached" in render_body(WITHOUT, for_staff=True)


def test_junit_stays_valid() -> None:
    xmlschema.XMLSchema(ROOT / "tests" / "render" / "junit.xsd").validate(io.StringIO(render_junit(WITHOUT)))

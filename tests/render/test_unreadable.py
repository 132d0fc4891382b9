"""A submission in which nothing can be read: every format says why, and none gives points."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import xmlschema
from rich.console import Console

from grader.render.classroom import render_classroom
from grader.render.github import render_github
from grader.render.gradescope import render_gradescope
from grader.render.html import render_html
from grader.render.junit import render_junit
from grader.render.markdown import render_markdown
from grader.render.prairielearn import render_prairielearn
from grader.render.terminal import render_terminal
from tests.support.paths import ROOT
from tests.support.store_content import unreadable_report

REPORT = unreadable_report("this is a PDF", "hw2.ipynb")


def render_in_terminal() -> str:
    output = io.StringIO()
    render_terminal(REPORT, Console(file=output, width=100, force_terminal=False))
    return output.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(render_html(REPORT), id="html"),
        pytest.param(render_markdown(REPORT), id="markdown"),
        pytest.param(render_github(REPORT, {}, Path("/")), id="github"),
        pytest.param(render_gradescope(REPORT), id="gradescope"),
        pytest.param(render_prairielearn(REPORT), id="prairielearn"),
        pytest.param(render_junit(REPORT), id="junit"),
        pytest.param(render_in_terminal(), id="terminal"),
    ],
)
def test_every_format_says_why_nothing_was_graded(text: str) -> None:
    assert "hw2.ipynb: this is a PDF" in text


def test_no_system_takes_it_for_a_zero_or_for_a_success() -> None:
    gradescope = json.loads(render_gradescope(REPORT))
    assert not any("score" in part for part in (gradescope, *gradescope["tests"]))
    assert json.loads(render_prairielearn(REPORT))["gradable"] is False
    assert render_classroom(REPORT) != render_classroom(unreadable_report("this is another", "hw2.ipynb"))
    assert '<error message="hw2.ipynb: this is a PDF"' in render_junit(REPORT)
    xmlschema.XMLSchema(ROOT / "tests" / "render" / "junit.xsd").validate(io.StringIO(render_junit(REPORT)))
    assert (REPORT.passed, REPORT.is_readable) == (False, False)

"""Render a report as a self-contained HTML page without scripts, or as part of another page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import groupby
from typing import Any, Literal

from markupsafe import Markup

from grader.render.curves import read_curves
from grader.render.picture import make_scenes
from grader.render.stages import read_stages
from grader.render.templates import load_template
from grader.render.text import MARKS, describe_place
from grader.render.written import read_written_answer
from grader.results.report import Report, Verdict

__all__ = ["render_body", "render_html"]

_MAX_LISTED = 200


def render_html(report: Report) -> str:
    """Return a report as a page that can be opened, sent and printed."""
    return load_template("report.html.jinja").render(_make_context(report, "h1"))


def render_body(report: Report) -> Markup:
    """Return the content of such a page, for a page with its own title and style."""
    return Markup(load_template("report_body.html.jinja").render(_make_context(report, "h2")))


def _make_context(report: Report, heading: Literal["h1", "h2"]) -> Mapping[str, Any]:
    sections = [(section, list(items)) for section, items in groupby(report.items, key=lambda item: item.section)]
    return {
        "report": report,
        "heading": heading,
        "sections": sections,
        "counts": Counter(item.verdict for item in report.items),
        "failed_cells": report.failed_cells,
        "most": _MAX_LISTED,
        "marks": MARKS,
        "verdicts": list(Verdict),
        "curves": read_curves,
        "scenes": make_scenes,
        "stages": read_stages,
        "place": describe_place,
        "written": read_written_answer,
    }

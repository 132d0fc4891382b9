"""The report as one HTML file that needs no network and runs no script, and as a part of another page."""

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

_MOST_LISTED = 200


def render_html(report: Report) -> str:
    """Return a report as a page that can be opened, sent and printed as it is."""
    return load_template("report.html.jinja").render(_values(report, "h1"))


def render_body(report: Report) -> Markup:
    """Return what such a page shows, for a page that has a title and the style of its own."""
    return Markup(load_template("report_body.html.jinja").render(_values(report, "h2")))


def _values(report: Report, heading: Literal["h1", "h2"]) -> Mapping[str, Any]:
    sections = [(section, list(items)) for section, items in groupby(report.items, key=lambda item: item.section)]
    return {
        "report": report,
        "heading": heading,
        "sections": sections,
        "counts": Counter(item.verdict for item in report.items),
        "ended_badly": [cell for cell in report.cells if cell.status != "ok"],
        "most": _MOST_LISTED,
        "marks": MARKS,
        "verdicts": list(Verdict),
        "curves": read_curves,
        "scenes": make_scenes,
        "stages": read_stages,
        "place": describe_place,
        "written": read_written_answer,
    }

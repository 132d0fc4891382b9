"""The report as one HTML file that needs no network and runs no script."""

from __future__ import annotations

from collections import Counter
from functools import cache
from importlib.resources import files
from itertools import groupby
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from grader.render.chart import DRAWN_WAYS
from grader.render.curves import curves
from grader.render.picture import STEPS, scenes
from grader.render.stages import stages
from grader.render.text import MARKS, place, plain, points
from grader.report import Report, Verdict

__all__ = ["render_html"]

_MOST_LISTED = 200


def render_html(report: Report) -> str:
    """Return a report as a page that can be opened, sent and printed as it is."""
    sections = [(section, list(items)) for section, items in groupby(report.items, key=lambda item: item.section)]
    return _template().render(
        report=report,
        sections=sections,
        counts=Counter(item.verdict for item in report.items),
        ended_badly=[cell for cell in report.cells if cell.status != "ok"],
        most=_MOST_LISTED,
        marks=MARKS,
        verdicts=list(Verdict),
        curves=curves,
        ways=DRAWN_WAYS,
        scenes=scenes,
        stages=stages,
        steps=STEPS,
        place=place,
        points=points,
    )


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, finalize=_shown, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(files("grader.render").joinpath("report.html.jinja").read_text("utf-8"))


def _shown(value: Any) -> Any:
    """Clean every text that the template writes; what it has escaped already is its own."""
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value

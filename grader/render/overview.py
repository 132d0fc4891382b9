"""The overview of a batch as one HTML file beside the reports, or as a part of another page; it runs no script."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal
from urllib.parse import quote

from markupsafe import Markup

from grader.render.chart import make_scale
from grader.render.templates import load_template
from grader.render.text import MARKS, sanitise_text
from grader.results.overview import ItemOverview, Overview, Scores, SubmissionOverview
from grader.results.report import Verdict

__all__ = ["render_overview", "render_overview_body"]

_WIDTH, _HEIGHT = 640, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 20, 20, 26, 40  # margins, in which counts and the axis are written
_GAP = 3  # between bars

_TELLS = 0.2  # from this correlation on an item tells strong from weak (Ebel and Frisbie, chapter 13)
_NEGATIVE = -0.05  # what is closer to 0 is rounded to it
_FEWEST = 10  # submissions, below which a correlation is an accident
_LONGEST_MESSAGE = 300


@dataclass(frozen=True)
class _Bar:
    """One bar of the histogram: its place, and how many scores it stands for."""

    x: float
    y: float
    width: float
    height: float
    count: int


@dataclass(frozen=True)
class _Histogram:
    """A drawing of `size`: bars on a line, marks below it as (place, text), and where the median is."""

    size: tuple[int, int]
    ground: tuple[float, float, float]  # left, right, and its height
    bars: tuple[_Bar, ...]
    marks: tuple[tuple[float, str], ...]
    median: float
    spoken: str


def render_overview(overview: Overview) -> str:
    """Return an overview as a page that can be opened beside the reports, sent and printed as it is."""
    return load_template("overview.html.jinja").render(_values(overview, _link, "h1"))


def render_overview_body(overview: Overview, link: Callable[[SubmissionOverview], str]) -> Markup:
    """Return what such a page shows, for a page that has a title and the style of its own.

    Args:
        overview: what is shown.
        link: tells where a submission's report is.
    """
    return Markup(load_template("overview_body.html.jinja").render(_values(overview, link, "h2")))


def _values(
    overview: Overview, link: Callable[[SubmissionOverview], str], heading: Literal["h1", "h2"]
) -> Mapping[str, Any]:
    return {
        "overview": overview,
        "heading": heading,
        "histogram": _histogram(overview.scores) if overview.scores else None,
        "losses": [verdict for verdict in Verdict if verdict is not Verdict.PASSED],
        "marks": MARKS,
        "judgement": _judgement,
        "link": link,
        "short": lambda text: sanitise_text(text, _LONGEST_MESSAGE),
    }


def _histogram(scores: Scores) -> _Histogram:
    left, right, ground = _LEFT, _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    across = make_scale(0, 100, left, right)
    up = make_scale(0, max(each.count for each in scores.histogram), ground, _TOP)
    bars = tuple(
        _Bar(
            across(each.lowest) + _GAP / 2,
            up(each.count),
            across(each.highest) - across(each.lowest) - _GAP,
            ground - up(each.count),
            each.count,
        )
        for each in scores.histogram
    )
    counts = ", ".join(f"{each.lowest:g} to {each.highest:g} %: {each.count}" for each in scores.histogram)
    marks = tuple((across(value), f"{value} %") for value in range(0, 101, 20))
    spoken = f"How many submissions have which score. {counts}. Median {scores.median:.1f} %."
    return _Histogram((_WIDTH, _HEIGHT), (left, right, ground), bars, marks, across(scores.median), spoken)


def _judgement(item: ItemOverview) -> tuple[str, str]:
    """Say what an item's discrimination means, and which colour that has."""
    if item.judged < _FEWEST:
        return "too few to say" if item.judged else "not judged yet", "quiet"
    if item.discrimination is None:
        return "all alike", "quiet"
    if item.discrimination < _NEGATIVE:
        return "look at this item: negative", "failed"
    if item.discrimination < _TELLS:
        return "says little", "partial"
    return "tells strong from weak", "passed"


def _link(submission: SubmissionOverview) -> str:
    """Return where a submission's page is, relative to the overview's."""
    return f"./{quote(str(PurePosixPath(submission.report).with_suffix('.html')))}"

"""Render the overview of a batch as one HTML file beside the reports, or as part of another page, without scripts."""

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
_LEFT, _RIGHT, _TOP, _BOTTOM = 20, 20, 26, 40  # margins, which hold the counts and the axis
_GAP = 3  # between bars

_DISCRIMINATES = 0.2  # from this correlation on an item tells strong from weak (Ebel and Frisbie, chapter 13)
_NEGATIVE = -0.05  # a correlation closer to 0 counts as 0
_MIN_SUBMISSIONS = 10  # with fewer submissions a correlation is accidental
_LONGEST_MESSAGE = 300


@dataclass(frozen=True)
class _Bar:
    """One bar of the histogram: its rectangle, and the number of scores."""

    x: float
    y: float
    width: float
    height: float
    count: int


@dataclass(frozen=True)
class _Histogram:
    """A drawing of `size`: bars on a line, the marks below it as (position, text), and the position of the median."""

    size: tuple[int, int]
    ground: tuple[float, float, float]  # left, right and height of the line
    bars: tuple[_Bar, ...]
    marks: tuple[tuple[float, str], ...]
    median: float
    spoken: str


def render_overview(overview: Overview) -> str:
    """Return an overview as a page that can be opened beside the reports, sent and printed."""
    return load_template("overview.html.jinja").render(_make_context(overview, _make_link, "h1"))


def render_overview_body(overview: Overview, link: Callable[[SubmissionOverview], str]) -> Markup:
    """Return the content of such a page, for a page with its own title and style.

    Args:
        overview: the overview.
        link: returns the URL of a submission's report.
    """
    return Markup(load_template("overview_body.html.jinja").render(_make_context(overview, link, "h2")))


def _make_context(
    overview: Overview, link: Callable[[SubmissionOverview], str], heading: Literal["h1", "h2"]
) -> Mapping[str, Any]:
    return {
        "overview": overview,
        "heading": heading,
        "histogram": _draw_histogram(overview.scores) if overview.scores else None,
        "losses": [verdict for verdict in Verdict if verdict is not Verdict.PASSED],
        "marks": MARKS,
        "judgement": _describe_discrimination,
        "link": link,
        "short": lambda text: sanitise_text(text, _LONGEST_MESSAGE),
    }


def _draw_histogram(scores: Scores) -> _Histogram:
    left, right, ground = _LEFT, _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    across = make_scale(0, 100, left, right)
    up = make_scale(0, max(bucket.count for bucket in scores.histogram), ground, _TOP)
    bars = tuple(
        _Bar(
            across(bucket.lowest) + _GAP / 2,
            up(bucket.count),
            across(bucket.highest) - across(bucket.lowest) - _GAP,
            ground - up(bucket.count),
            bucket.count,
        )
        for bucket in scores.histogram
    )
    counts = ", ".join(f"{bucket.lowest:g} to {bucket.highest:g} %: {bucket.count}" for bucket in scores.histogram)
    marks = tuple((across(value), f"{value} %") for value in range(0, 101, 20))
    spoken = f"Number of submissions by score. {counts}. Median {scores.median:.1f} %."
    return _Histogram((_WIDTH, _HEIGHT), (left, right, ground), bars, marks, across(scores.median), spoken)


def _describe_discrimination(item: ItemOverview) -> tuple[str, str]:
    """Return the meaning of an item's discrimination in words, and the class of its colour."""
    if item.judged < _MIN_SUBMISSIONS:
        return "too few submissions" if item.judged else "not judged yet", "quiet"
    if item.discrimination is None:
        return "no differences", "quiet"
    if item.discrimination < _NEGATIVE:
        return "negative: check this item", "failed"
    if item.discrimination < _DISCRIMINATES:
        return "weak", "partial"
    return "tells strong from weak", "passed"


def _make_link(submission: SubmissionOverview) -> str:
    """Return the URL of a submission's page, relative to the overview."""
    return f"./{quote(str(PurePosixPath(submission.report).with_suffix('.html')))}"

"""Draw lines as an SVG chart: paths, marks on the axes, and a description in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["DRAWN_WAYS", "Chart", "ChartLine", "Stroke", "draw_chart", "format_short", "make_scale"]

DRAWN_WAYS = 3  # combinations of colour and dashes, which repeat after the last

_WIDTH, _HEIGHT = 380, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 14, 14, 40  # margins, which hold the labels of the axes


@dataclass(frozen=True)
class ChartLine:
    """The data of a line: its points, and a final value to mark, if any. NaN is a gap."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    end: float | None = None


@dataclass(frozen=True)
class Stroke:
    """A drawn line: its path, its style (one of `DRAWN_WAYS`), and the position of its final mark, if any."""

    name: str
    path: str
    way: int
    end: tuple[float, float] | None = None


@dataclass(frozen=True)
class Chart:
    """A drawing of `size`: strokes, the dashed threshold, and the marks on the axes as (position, text)."""

    title: str
    spoken: str
    x_title: str
    size: tuple[int, int]
    frame: tuple[float, float, float, float]  # left, top, right, bottom
    strokes: tuple[Stroke, ...]
    x_marks: tuple[tuple[float, str], ...]
    y_marks: tuple[tuple[float, str], ...]
    threshold: tuple[float, str] | None = None

    @property
    def has_ends(self) -> bool:
        """Whether a stroke has a final mark, which needs an explanation."""
        return any(stroke.end for stroke in self.strokes)


def draw_chart(
    title: str, x_title: str, lines: Sequence[ChartLine], threshold: float | None = None, top: float | None = None
) -> Chart:
    """Draw lines on one pair of axes.

    Args:
        title: the title, which names the vertical axis.
        x_title: the name of the horizontal axis.
        lines: the lines. Both axes begin at 0 or below.
        threshold: the height of a dashed line, which is left out if it is outside the axis.
        top: the end of the vertical axis, None for the largest value.
    """
    xs = [x for line in lines for x in line.xs if math.isfinite(x)]
    ys = [y for line in lines for y in (*line.ys, math.nan if line.end is None else line.end) if math.isfinite(y)]
    farthest, lowest = max([0.0, *xs]) or 1.0, min([0.0, *ys])
    highest = top if top is not None else max([lowest, *ys]) or 1.0
    frame = (_LEFT, _TOP, _WIDTH - _RIGHT, _HEIGHT - _BOTTOM)
    across, up = make_scale(0, farthest, frame[0], frame[2]), make_scale(lowest, highest, frame[3], frame[1])
    strokes = tuple(
        Stroke(
            line.name,
            _path([(across(x), up(y)) for x, y in zip(line.xs, line.ys, strict=True)]),
            number % DRAWN_WAYS,
            (across(farthest), up(line.end)) if line.end is not None and math.isfinite(up(line.end)) else None,
        )
        for number, line in enumerate(lines)
    )
    return Chart(
        title,
        f"{title} by {x_title}: " + "; ".join(map(_describe, lines)),
        x_title,
        (_WIDTH, _HEIGHT),
        frame,
        strokes,
        tuple((across(value), format_short(value)) for value in _choose_marks(0, farthest)),
        tuple((up(value), format_short(value)) for value in _choose_marks(lowest, highest)),
        (up(threshold), f"{format_short(threshold)} needed")
        if threshold is not None and lowest <= threshold <= highest
        else None,
    )


def make_scale(lowest: float, highest: float, start: float, end: float) -> Callable[[float], float]:
    """Return a linear function that maps `lowest` to `start` and `highest` to `end`."""
    # Halves, because the difference of two huge numbers may not be finite.
    width = highest / 2 - lowest / 2

    def scale(value: float) -> float:
        share = (value / 2 - lowest / 2) / width if width > 0 else 0.5
        return start + share * (end - start)

    return scale


def format_short(value: float) -> str:
    """Format a number with three digits, as a dash if it is not finite."""
    return f"{value:.3g}" if math.isfinite(value) else "–"  # noqa: RUF001 - the mark of the verdict absent


def _path(points: Sequence[tuple[float, float]]) -> str:
    """Return an SVG path without the points that are not finite. A single point between two such gaps is a dot."""
    parts: list[str] = []
    is_drawing = False
    for x, y in points:
        if not (math.isfinite(x) and math.isfinite(y)):
            is_drawing = False
            continue
        # A line of length zero draws a dot.
        parts.append(f"L{x:.1f} {y:.1f}" if is_drawing else f"M{x:.1f} {y:.1f}h0")
        is_drawing = True
    return "".join(parts)


def _choose_marks(lowest: float, highest: float, about: int = 5) -> list[float]:
    """Return round numbers in a range, roughly `about` of them."""
    rough = highest / about - lowest / about
    if not (math.isfinite(rough) and rough > 0):
        return [lowest]
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough * (1 - 1e-9))
    if not step:
        return [lowest]
    first = math.ceil(lowest / step - 1e-9)
    return [number * step for number in range(first, math.floor(highest / step + 1e-9) + 1)]


def _describe(line: ChartLine) -> str:
    finite = [value for value in line.ys if math.isfinite(value)]
    parts = [f"from {format_short(finite[0])} to {format_short(finite[-1])}"] if finite else []
    parts += [] if line.end is None else [f"ended with {format_short(line.end)}"]
    if len(finite) < len(line.ys):
        parts.append(f"{len(line.ys) - len(finite)} of {len(line.ys)} points are not numbers")
    return f"{line.name} {', '.join(parts)}"

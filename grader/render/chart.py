"""Lines drawn as an SVG: paths, marks on the axes, and the same in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["DRAWN_WAYS", "Chart", "ChartLine", "Stroke", "draw_chart", "format_short", "make_scale"]

DRAWN_WAYS = 3  # colours and dashes, which later lines use again

_WIDTH, _HEIGHT = 380, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 14, 14, 40  # margins, in which the axes are written


@dataclass(frozen=True)
class ChartLine:
    """What a line shows: its points, and the value it ended with where that is marked; NaN is a gap."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    end: float | None = None


@dataclass(frozen=True)
class Stroke:
    """One line of a chart: its path, where its end is marked, and which of `DRAWN_WAYS` it has."""

    name: str
    path: str
    way: int
    end: tuple[float, float] | None = None


@dataclass(frozen=True)
class Chart:
    """A drawing of `size`: strokes, the dashed threshold's height, and marks on the axes as (place, text)."""

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
        """Whether there are dots to be explained."""
        return any(stroke.end for stroke in self.strokes)


def draw_chart(
    title: str, x_title: str, lines: Sequence[ChartLine], threshold: float | None = None, top: float | None = None
) -> Chart:
    """Draw lines on one pair of axes.

    Args:
        title: what the lines are of.
        x_title: what they go along.
        lines: what to draw; both axes begin at 0 or below.
        threshold: where to draw a dashed line, left out where it is not on the axis.
        top: where the vertical axis ends, None for the largest value.
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
        f"{title} by {x_title}: " + "; ".join(map(_spoken, lines)),
        x_title,
        (_WIDTH, _HEIGHT),
        frame,
        strokes,
        tuple((across(value), format_short(value)) for value in _round_values(0, farthest)),
        tuple((up(value), format_short(value)) for value in _round_values(lowest, highest)),
        (up(threshold), f"{format_short(threshold)} needed")
        if threshold is not None and lowest <= threshold <= highest
        else None,
    )


def make_scale(lowest: float, highest: float, start: float, end: float) -> Callable[[float], float]:
    """Return what maps numbers linearly, so that `lowest` becomes `start` and `highest` becomes `end`."""
    # Halves, because the difference of the farthest two is not finite.
    width = highest / 2 - lowest / 2

    def place(value: float) -> float:
        share = (value / 2 - lowest / 2) / width if width > 0 else 0.5
        return start + share * (end - start)

    return place


def format_short(value: float) -> str:
    """Write a number shortly, a dash where it is none."""
    return f"{value:.3g}" if math.isfinite(value) else "–"  # noqa: RUF001 - as for a verdict that is absent


def _path(points: Sequence[tuple[float, float]]) -> str:
    """Write an SVG path that leaves out points that are not finite; one alone between such points is a dot."""
    parts: list[str] = []
    draws = False
    for x, y in points:
        if not (math.isfinite(x) and math.isfinite(y)):
            draws = False
            continue
        # The line of no length is what draws a dot.
        parts.append(f"L{x:.1f} {y:.1f}" if draws else f"M{x:.1f} {y:.1f}h0")
        draws = True
    return "".join(parts)


def _round_values(lowest: float, highest: float, about: int = 5) -> list[float]:
    """Return round numbers in a range, about so many."""
    rough = highest / about - lowest / about
    if not (math.isfinite(rough) and rough > 0):
        return [lowest]
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough * (1 - 1e-9))
    if not step:
        return [lowest]
    first = math.ceil(lowest / step - 1e-9)
    return [number * step for number in range(first, math.floor(highest / step + 1e-9) + 1)]


def _spoken(line: ChartLine) -> str:
    finite = [value for value in line.ys if math.isfinite(value)]
    parts = [f"from {format_short(finite[0])} to {format_short(finite[-1])}"] if finite else []
    parts += [] if line.end is None else [f"ended with {format_short(line.end)}"]
    if len(finite) < len(line.ys):
        parts.append(f"{len(line.ys) - len(finite)} of {len(line.ys)} points are no numbers")
    return f"{line.name} {', '.join(parts)}"

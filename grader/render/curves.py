"""Learning curves: loss and accuracy by epoch, as charts, as numbers in a table, and as a row of blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grader.render.chart import Chart, ChartLine, draw_chart, format_short, make_scale
from grader.render.evidence import read_number
from grader.render.text import sanitise_line

__all__ = ["BLOCKS", "CurveView", "Curves", "OwnLoopView", "draw_sparkline", "read_curves", "remove_curves"]

BLOCKS = "▁▂▃▄▅▆▇█"

_MOST_RUNS = 8
_MOST_POINTS = 400  # of a line
_MOST_ROWS = 40  # of a table
_MOST_LOOPS = 6
_MOST_FINDINGS = 20


@dataclass(frozen=True)
class CurveView:
    """One training: the accuracy it ended with, and its curve; what is not known is NaN."""

    seed: str
    accuracy: float
    epochs: tuple[float, ...]
    losses: tuple[float, ...]
    accuracies: tuple[float, ...]


@dataclass(frozen=True)
class OwnLoopView:
    """The student's own training loop, as their process told it."""

    file: str
    cell: int | None
    text: str
    findings: tuple[str, ...]
    losses: tuple[float, ...]
    chart: Chart | None


@dataclass(frozen=True)
class Curves:
    """What is known of an item's trainings. `rows` are those of a table, of which the first is its head."""

    recipe: str
    evidence: str
    threshold: float | None
    runs: tuple[CurveView, ...]
    charts: tuple[Chart, ...]
    rows: tuple[tuple[str, ...], ...]
    own: tuple[OwnLoopView, ...]

    def reached(self, run: CurveView) -> str:
        """Say what a run reached, and what was to be reached."""
        needed = "" if self.threshold is None else f" ({format_short(self.threshold)} needed)"
        return f"seed {run.seed}: accuracy {format_short(run.accuracy)}{needed}"


def read_curves(evidence: Mapping[str, Any]) -> Curves | None:
    """Return the trainings that evidence tells of, None where it tells of none."""
    told = evidence.get("training")
    if not isinstance(told, Mapping):
        return None
    runs = tuple(_run(each) for each in _mappings(told.get("runs"), _MOST_RUNS))
    needed = _number(told.get("threshold"))
    threshold = needed if math.isfinite(needed) else None
    return Curves(
        recipe=_text(told.get("recipe")),
        evidence=_text(told.get("evidence")),
        threshold=threshold,
        runs=runs,
        charts=tuple(_charts(runs, threshold)),
        rows=_rows(runs),
        own=tuple(_own(each) for each in _mappings(told.get("own"), _MOST_LOOPS)),
    )


def remove_curves(evidence: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the evidence that is not drawn by `curves`."""
    return {name: value for name, value in evidence.items() if name != "training" or read_curves(evidence) is None}


def draw_sparkline(values: Sequence[float], width: int = 20) -> str:
    """Draw numbers as a row of blocks of eight heights; what is no finite number is a gap."""
    values = _thinned(values, width)
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ""
    height = make_scale(min(finite), max(finite), 0, len(BLOCKS) - 1)
    return "".join(BLOCKS[round(height(value))] if math.isfinite(value) else " " for value in values)


def _run(told: Mapping[str, Any]) -> CurveView:
    epochs = _numbers(told.get("epochs"))
    columns = [_numbers(told.get(name)) for name in ("loss", "accuracy_by_epoch")]
    losses, accuracies = ([*column, *[math.nan] * len(epochs)][: len(epochs)] for column in columns)
    return CurveView(
        _text(told.get("seed")),
        _number(told.get("accuracy")),
        _thinned(epochs, _MOST_POINTS),
        _thinned(losses, _MOST_POINTS),
        _thinned(accuracies, _MOST_POINTS),
    )


def _own(told: Mapping[str, Any]) -> OwnLoopView:
    losses = _thinned(_numbers(told.get("losses")), _MOST_POINTS)
    lr, cell = _number(told.get("lr")), told.get("cell")
    parts = [
        _text(told.get("optimizer")),
        f"learning rate {format_short(lr)}" if math.isfinite(lr) else "",
        _counted(told.get("steps"), "step"),
        _counted(told.get("epochs"), "epoch"),
    ]
    findings = tuple(_text(each.get("text")) for each in _mappings(told.get("findings"), _MOST_FINDINGS))
    drawable = sum(math.isfinite(loss) for loss in losses) > 1
    own = ChartLine("loss", range(1, len(losses) + 1), losses)
    return OwnLoopView(
        file=_text(told.get("file")),
        cell=cell if isinstance(cell, int) else None,
        text=", ".join(part for part in parts if part),
        findings=findings,
        losses=losses,
        chart=draw_chart("loss of your own loop", "loss noted", [own]) if drawable else None,
    )


def _charts(runs: Sequence[CurveView], threshold: float | None) -> list[Chart]:
    """Draw what has at least one point."""
    charts = []
    if any(math.isfinite(loss) for run in runs for loss in run.losses):
        charts.append(
            draw_chart("loss", "epoch", [ChartLine(f"seed {run.seed}", run.epochs, run.losses) for run in runs])
        )
    if any(math.isfinite(value) for run in runs for value in (run.accuracy, *run.accuracies)):
        lines = [ChartLine(f"seed {run.seed}", run.epochs, run.accuracies, run.accuracy) for run in runs]
        charts.append(draw_chart("accuracy", "epoch", lines, threshold, top=1.0))
    return charts


def _rows(runs: Sequence[CurveView]) -> tuple[tuple[str, ...], ...]:
    """Return the numbers of all curves, a row for each place in epochs."""
    places = _thinned(sorted({epoch for run in runs for epoch in run.epochs if math.isfinite(epoch)}), _MOST_ROWS)
    if not places:
        return ()
    columns = [
        (f"{what}, seed {run.seed}", dict(zip(run.epochs, values, strict=True)))
        for run in runs
        for what, values in (("loss", run.losses), ("accuracy", run.accuracies))
        if any(math.isfinite(value) for value in values)
    ]
    head = ("epoch", *(title for title, _ in columns))
    return (
        head,
        *((format_short(at), *(format_short(column.get(at, math.nan)) for _, column in columns)) for at in places),
    )


def _thinned(values: Sequence[float], most: int) -> tuple[float, ...]:
    """Leave out numbers evenly, never the last."""
    if len(values) <= most:
        return tuple(values)
    return tuple(values[round(place * (len(values) - 1) / (most - 1))] for place in range(most))


def _mappings(told: Any, most: int) -> list[Mapping[str, Any]]:
    return [each for each in told[:most] if isinstance(each, Mapping)] if isinstance(told, list) else []


def _numbers(told: Any) -> list[float]:
    return [_number(each) for each in told] if isinstance(told, list) else []


def _number(told: Any) -> float:
    """Return a number, NaN for what is none."""
    value = read_number(told)
    return math.nan if value is None else value


def _counted(told: Any, what: str) -> str:
    value = _number(told)
    return f"{value:,.6g} {what}{'' if value == 1 else 's'}" if math.isfinite(value) else ""


def _text(told: Any) -> str:
    return "" if told is None else sanitise_line(str(told))

"""Learning curves: loss and accuracy by epoch, as charts, as a table and as a row of blocks."""

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

_MAX_RUNS = 8
_MAX_POINTS = 400  # of a line
_MAX_ROWS = 40  # of a table
_MAX_LOOPS = 6
_MAX_FINDINGS = 20


@dataclass(frozen=True)
class CurveView:
    """One training: its final accuracy, and its curve. Unknown numbers are NaN."""

    seed: str
    accuracy: float
    epochs: tuple[float, ...]
    losses: tuple[float, ...]
    accuracies: tuple[float, ...]


@dataclass(frozen=True)
class OwnLoopView:
    """The student's own training loop, as reported by their process."""

    file: str
    cell: int | None
    text: str
    findings: tuple[str, ...]
    losses: tuple[float, ...]
    chart: Chart | None


@dataclass(frozen=True)
class Curves:
    """The trainings of an item. `rows` are the rows of a table, beginning with its head."""

    recipe: str
    evidence: str
    threshold: float | None
    runs: tuple[CurveView, ...]
    charts: tuple[Chart, ...]
    rows: tuple[tuple[str, ...], ...]
    own: tuple[OwnLoopView, ...]

    def describe(self, run: CurveView) -> str:
        """Say which accuracy a training reached, and which it needed."""
        needed = "" if self.threshold is None else f" ({format_short(self.threshold)} needed)"
        return f"seed {run.seed}: accuracy {format_short(run.accuracy)}{needed}"


def read_curves(evidence: Mapping[str, Any]) -> Curves | None:
    """Return the trainings in an item's evidence, None if there are none."""
    training = evidence.get("training")
    if not isinstance(training, Mapping):
        return None
    runs = tuple(_read_run(run) for run in _list_mappings(training.get("runs"), _MAX_RUNS))
    needed = _number(training.get("threshold"))
    threshold = needed if math.isfinite(needed) else None
    return Curves(
        recipe=_text(training.get("recipe")),
        evidence=_text(training.get("evidence")),
        threshold=threshold,
        runs=runs,
        charts=tuple(_draw_charts(runs, threshold)),
        rows=_make_rows(runs),
        own=tuple(_read_own_loop(loop) for loop in _list_mappings(training.get("own"), _MAX_LOOPS)),
    )


def remove_curves(evidence: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the evidence without the trainings, which are drawn as curves."""
    return {name: value for name, value in evidence.items() if name != "training" or read_curves(evidence) is None}


def draw_sparkline(values: Sequence[float], width: int = 20) -> str:
    """Draw numbers as a row of blocks of eight heights. A number that is not finite is a gap."""
    values = _thin(values, width)
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ""
    height = make_scale(min(finite), max(finite), 0, len(BLOCKS) - 1)
    return "".join(BLOCKS[round(height(value))] if math.isfinite(value) else " " for value in values)


def _read_run(run: Mapping[str, Any]) -> CurveView:
    epochs = _numbers(run.get("epochs"))
    columns = [_numbers(run.get(name)) for name in ("loss", "accuracy_by_epoch")]
    losses, accuracies = ([*column, *[math.nan] * len(epochs)][: len(epochs)] for column in columns)
    return CurveView(
        _text(run.get("seed")),
        _number(run.get("accuracy")),
        _thin(epochs, _MAX_POINTS),
        _thin(losses, _MAX_POINTS),
        _thin(accuracies, _MAX_POINTS),
    )


def _read_own_loop(loop: Mapping[str, Any]) -> OwnLoopView:
    losses = _thin(_numbers(loop.get("losses")), _MAX_POINTS)
    lr, cell = _number(loop.get("lr")), loop.get("cell")
    parts = [
        _text(loop.get("optimizer")),
        f"learning rate {format_short(lr)}" if math.isfinite(lr) else "",
        _count(loop.get("steps"), "step"),
        _count(loop.get("epochs"), "epoch"),
    ]
    findings = tuple(_text(finding.get("text")) for finding in _list_mappings(loop.get("findings"), _MAX_FINDINGS))
    is_drawable = sum(math.isfinite(loss) for loss in losses) > 1
    line = ChartLine("loss", range(1, len(losses) + 1), losses)
    return OwnLoopView(
        file=_text(loop.get("file")),
        cell=cell if isinstance(cell, int) else None,
        text=", ".join(part for part in parts if part),
        findings=findings,
        losses=losses,
        chart=draw_chart("loss of your own loop", "recorded loss", [line]) if is_drawable else None,
    )


def _draw_charts(runs: Sequence[CurveView], threshold: float | None) -> list[Chart]:
    """Draw the charts that have at least one point."""
    charts = []
    if any(math.isfinite(loss) for run in runs for loss in run.losses):
        charts.append(
            draw_chart("loss", "epoch", [ChartLine(f"seed {run.seed}", run.epochs, run.losses) for run in runs])
        )
    if any(math.isfinite(value) for run in runs for value in (run.accuracy, *run.accuracies)):
        lines = [ChartLine(f"seed {run.seed}", run.epochs, run.accuracies, run.accuracy) for run in runs]
        charts.append(draw_chart("accuracy", "epoch", lines, threshold, top=1.0))
    return charts


def _make_rows(runs: Sequence[CurveView]) -> tuple[tuple[str, ...], ...]:
    """Return the numbers of all curves, with a row for each epoch."""
    epochs = _thin(sorted({epoch for run in runs for epoch in run.epochs if math.isfinite(epoch)}), _MAX_ROWS)
    if not epochs:
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
        *((format_short(x), *(format_short(column.get(x, math.nan)) for _, column in columns)) for x in epochs),
    )


def _thin(values: Sequence[float], most: int) -> tuple[float, ...]:
    """Drop numbers evenly until `most` are left, and keep the last."""
    if len(values) <= most:
        return tuple(values)
    return tuple(values[round(place * (len(values) - 1) / (most - 1))] for place in range(most))


def _list_mappings(value: Any, most: int) -> list[Mapping[str, Any]]:
    return [entry for entry in value[:most] if isinstance(entry, Mapping)] if isinstance(value, list) else []


def _numbers(value: Any) -> list[float]:
    return [_number(entry) for entry in value] if isinstance(value, list) else []


def _number(value: Any) -> float:
    """Return a number, NaN if `value` is not one."""
    number = read_number(value)
    return math.nan if number is None else number


def _count(value: Any, noun: str) -> str:
    number = _number(value)
    return f"{number:,.6g} {noun}{'' if number == 1 else 's'}" if math.isfinite(number) else ""


def _text(value: Any) -> str:
    return "" if value is None else sanitise_line(str(value))

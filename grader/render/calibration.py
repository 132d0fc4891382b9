"""Show the result of a calibration on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from grader.render.text import sanitise_text
from grader.results.calibration import Calibration

__all__ = ["render_calibrations"]


def render_calibrations(calibrations: Sequence[Calibration], console: Console) -> None:
    """Print the accuracies of each right model, the threshold, and how often a right model would fail, by item."""
    for calibration in calibrations:
        recipe = calibration.recipe
        console.print(f"{calibration.item}, {calibration.mode}: {recipe}", markup=False, highlight=False)
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("model", "trainings", "lowest", "mean", "deviation", "highest", "of"):
            table.add_column(column, justify="left" if column in ("model", "of") else "right", overflow="fold")
        for model in calibration.distributions:
            numbers = (min(model.accuracies), model.mean, model.deviation, max(model.accuracies))
            names = escape(sanitise_text(", ".join(model.submissions)))
            table.add_row(model.graph[:8], str(len(model.accuracies)), *(f"{number:.3f}" for number in numbers), names)
        console.print(table)
        verdict = "" if calibration.good else "  this recipe does not tell right models from wrong ones: change it"
        rate = f"false-fail rate {calibration.false_fail:.1e} with {recipe.seeds} tries"
        console.print(f"threshold {calibration.threshold:.2f}, {rate}{verdict}", markup=False, highlight=False)
        console.print()

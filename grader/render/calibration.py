"""What a calibration found, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from grader.render.text import sanitise_text
from grader.results.calibration import Calibration

__all__ = ["render_calibrations"]


def render_calibrations(calibrations: Sequence[Calibration], console: Console) -> None:
    """Print for each item the accuracies of each right model, the threshold, and how often a right model would fail."""
    for each in calibrations:
        console.print(f"{each.item}, {each.mode}: {each.recipe}", markup=False, highlight=False)
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("model", "trainings", "lowest", "mean", "deviation", "highest", "of"):
            table.add_column(column, justify="left" if column in ("model", "of") else "right", overflow="fold")
        for one in each.distributions:
            numbers = (min(one.accuracies), one.mean, one.deviation, max(one.accuracies))
            names = escape(sanitise_text(", ".join(one.submissions)))
            table.add_row(one.graph[:8], str(len(one.accuracies)), *(f"{number:.3f}" for number in numbers), names)
        console.print(table)
        verdict = "" if each.good else "  this recipe does not tell right models from wrong ones: change it"
        said = f"threshold {each.threshold:.2f}, false-fail rate {each.false_fail:.1e} with {each.recipe.seeds} tries"
        console.print(said + verdict, markup=False, highlight=False)
        console.print()

"""The minimum score of `grader check --min-score`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from grader.errors import InputError
from grader.results.report import Report

__all__ = ["MinimumScore"]

_FORM = re.compile(r"(\d{1,6}(?:\.\d{1,4})?)\s*(%?)", re.ASCII)
_ROUNDING = 1e-9


@dataclass(frozen=True)
class MinimumScore:
    """Points, or a share of the decided points: pending points can be neither earned nor lost."""

    text: str
    value: float
    is_share: bool

    @classmethod
    def parse(cls, text: str, possible: float) -> MinimumScore:
        """Parse a minimum score.

        Args:
            text: points such as 60, or a share such as 80%.
            possible: the points of the assignment.

        Raises:
            InputError: it is neither, or more than the assignment gives.
        """
        match = _FORM.fullmatch(text.strip())
        if not match:
            raise InputError(f"--min-score {text!r} is not a score: give points such as 60, or a share such as 80%")
        value, is_share = float(match[1]), bool(match[2])
        if value > (100 if is_share else possible):
            raise InputError(f"--min-score {text} is more than the assignment gives: at most {possible:g}, or 100%")
        return cls(text.strip(), value, is_share)

    def is_reached(self, report: Report) -> bool:
        """Tell whether a report has enough points."""
        decided = report.max_score - report.pending_points
        needed = self.value / 100 * decided if self.is_share else self.value
        return report.score >= needed - _ROUNDING

    def describe(self, report: Report) -> str:
        """Say whether a report has enough points."""
        from grader.render.text import format_points

        decided = report.max_score - report.pending_points
        word = "reaches" if self.is_reached(report) else "does not reach"
        return (
            f"{format_points(report.score)} of {format_points(decided)} decided points: {word} --min-score {self.text}"
        )

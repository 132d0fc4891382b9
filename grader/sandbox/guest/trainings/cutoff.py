"""When a training in the student's kernel ends before its loop does.

`quick` looks at a few steps; `full` lets a training run as written until it has nothing more to reach, or its time is
used up. What was reached counts.
"""

from __future__ import annotations

import math
import time
from statistics import fmean

from grader.models.recipe import Mode

__all__ = ["QUICK_STEPS", "Cutoff", "LossProgress", "TrainingCut"]

QUICK_STEPS = 60
_QUICK_SECONDS = 15.0
_SHARE = 0.9  # of a cell's time; the rest is for what the cell does with its trained model
_LOST = 5  # losses in a row that are no numbers
_PATIENCE = 3  # epochs
_IMPROVEMENT = 0.001
_NOTICES = {
    "steps": "this run looks at the first steps of a training only",
    "budget": "the time for a training is used up; what was reached counts",
    "nan": "the loss is no number any more; what was reached counts",
    "plateau": "the loss has not fallen for three epochs; what was reached counts",
}


class TrainingCut(BaseException):
    """Ends the statement that trains; no Exception, so that a loop that goes on after errors ends too."""

    def __init__(self, why: str) -> None:
        super().__init__(f"(this training ends here while it is graded: {_NOTICES[why]})")
        self.why = why


class Cutoff:
    """The bounds of the trainings of one statement.

    Args:
        mode: what is done with trainings.
        cell_started: when the cell began (monotonic seconds).
        cell_seconds: how long the cell may take, its trainings together with all else.
    """

    def __init__(self, mode: Mode, cell_started: float, cell_seconds: float) -> None:
        self._steps = QUICK_STEPS if mode is Mode.QUICK else math.inf
        self._ends = cell_started + _SHARE * cell_seconds
        if mode is Mode.QUICK:
            self._ends = min(self._ends, time.monotonic() + _QUICK_SECONDS)

    def reached(self, steps: int) -> str:
        """Return why the statement ends after this many steps, "" where it goes on."""
        if steps >= self._steps:
            return "steps"
        return "budget" if time.monotonic() >= self._ends else ""


class LossProgress:
    """Tells from its losses when a training has nothing more to reach."""

    def __init__(self) -> None:
        self._epoch: list[float] = []
        self._number = 0
        self._best = math.inf
        self._waited = 0
        self._lost = 0

    def add(self, losses: list[float], epoch: int) -> str:
        """Take the next losses, which belong to this epoch; return "nan", "plateau" or ""."""
        for loss in losses:
            self._lost = 0 if math.isfinite(loss) else self._lost + 1
        if self._lost >= _LOST:
            return "nan"
        if epoch != self._number and self._epoch:
            self._end_epoch()
            self._number, self._epoch = epoch, []
        self._epoch += losses
        return "plateau" if self._waited >= _PATIENCE else ""

    def _end_epoch(self) -> None:
        mean = fmean(self._epoch)
        self._waited = 0 if mean < self._best * (1 - _IMPROVEMENT) else self._waited + 1
        self._best = min(self._best, mean)

"""When a training in the student's kernel ends before its loop does.

In mode `quick` only a few steps run. In mode `full` a training runs as written until it makes no more progress or its
time is used up. The result so far counts.
"""

from __future__ import annotations

import math
import time
from statistics import fmean

from grader.models.recipe import Mode
from grader.sandbox.protocol.stops import StopKind

__all__ = ["QUICK_STEPS", "Cutoff", "LossProgress", "TrainingCut", "TrainingLeftOut"]

QUICK_STEPS = 60
_QUICK_SECONDS = 15.0
_TRAINING_SHARE = 0.9  # of a cell's time; the rest is for what the cell does with its trained model
_MAX_NOT_FINITE = 5  # losses in a row
_PATIENCE = 3  # epochs without progress
_IMPROVEMENT = 0.001  # of the mean loss of an epoch, relative
_NOTICES = {
    "steps": "this run looks at the first steps of a training only",
    "budget": "the time for a training is used up; what was reached counts",
    "nan": "the loss is no number any more; what was reached counts",
    "plateau": "the loss has not fallen for three epochs; what was reached counts",
}


class TrainingCut(BaseException):
    """Ends the statement that trains. Not an Exception, so that loops which go on after errors end too."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"this training ends here while it is graded: {_NOTICES[reason]}")


class TrainingLeftOut(TrainingCut):
    """Ends a statement because no training is to run.

    Args:
        message: says so, for the report.
    """

    stop_kind = StopKind.LEFT_OUT

    def __init__(self, message: str) -> None:
        BaseException.__init__(self, message)


class Cutoff:
    """The bounds of the trainings of one statement.

    Args:
        mode: `quick` or `full`.
        cell_started: when the cell began (monotonic seconds).
        cell_seconds: how long the cell may take, including its trainings.
    """

    def __init__(self, mode: Mode, cell_started: float, cell_seconds: float) -> None:
        self._max_steps = QUICK_STEPS if mode is Mode.QUICK else math.inf
        self._deadline = cell_started + _TRAINING_SHARE * cell_seconds
        if mode is Mode.QUICK:
            self._deadline = min(self._deadline, time.monotonic() + _QUICK_SECONDS)

    def find_reason(self, steps: int) -> str:
        """Return why the statement ends after `steps` steps ("steps" or "budget"), or "" if it goes on."""
        if steps >= self._max_steps:
            return "steps"
        return "budget" if time.monotonic() >= self._deadline else ""


class LossProgress:
    """Tells from its losses when a training makes no more progress."""

    def __init__(self) -> None:
        self._epoch_losses: list[float] = []
        self._epoch = 0
        self._best = math.inf
        self._epochs_without_progress = 0
        self._not_finite = 0  # losses in a row

    def add(self, losses: list[float], epoch: int) -> str:
        """Add the next losses, all of one epoch. Return why the training ends ("nan" or "plateau"), or ""."""
        for loss in losses:
            self._not_finite = 0 if math.isfinite(loss) else self._not_finite + 1
        if self._not_finite >= _MAX_NOT_FINITE:
            return "nan"
        if epoch != self._epoch and self._epoch_losses:
            self._end_epoch()
            self._epoch, self._epoch_losses = epoch, []
        self._epoch_losses += losses
        return "plateau" if self._epochs_without_progress >= _PATIENCE else ""

    def _end_epoch(self) -> None:
        mean = fmean(self._epoch_losses)
        improved = mean < self._best * (1 - _IMPROVEMENT)
        self._epochs_without_progress = 0 if improved else self._epochs_without_progress + 1
        self._best = min(self._best, mean)

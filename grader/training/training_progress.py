"""Describes running trainings to who waits for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from grader.training.cache import TrainingJob

__all__ = ["RunningTrainings"]


class RunningTrainings:
    """Describes several running trainings in one line.

    Args:
        progress: called with the line whenever it changes.
    """

    def __init__(self, progress: Callable[[str], None]) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._running: dict[str, tuple[float, float, int]] = {}

    def update(self, name: str, job: TrainingJob, share: float) -> None:
        """Note the share of a job that is done."""
        with self._lock:
            started, _, seed = self._running.get(name, (time.monotonic(), 0.0, job.seed))
            if seed != job.seed:
                started = time.monotonic()
            self._running[name] = (started, share, job.seed)
            self._show()

    def finish(self, name: str) -> None:
        """Note the end of a chain."""
        with self._lock:
            self._running.pop(name, None)
            self._show()

    def _show(self) -> None:
        now = time.monotonic()
        parts, left = [], 0.0
        for name, (started, share, seed) in self._running.items():
            number = f" of try {seed + 1}" if seed else ""
            parts.append(f"{name} {share:.0%}{number}")
            if share:
                left = max(left, (now - started) * (1 - share) / share)
        if parts:
            self._progress(f"training: {', '.join(parts)}, about {left:.0f} s left")

"""The time that one submission may take in all, so that the next one gets its turn."""

from __future__ import annotations

import time

__all__ = ["Slot"]


class Slot:
    """The time of one submission for everything together: its cells, the tests, and all that is tried again.

    Trainings are the exception: they have budgets of their own, and the time that they take is given back.

    Args:
        seconds: the time.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """The seconds that are left; 0 or less if the time is over."""
        return self._end - time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return self.left <= 0

    def give_back(self, seconds: float) -> None:
        """Add the time that a training took."""
        self._end += seconds

"""The graders that are compared: each makes commands of a class, and shows afterwards that it graded it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

__all__ = ["Grader"]


class Grader(Protocol):
    """One way to grade a class on this machine."""

    @property
    def name(self) -> str:
        """As the tables have it."""

    def commands(self, notebook: str, size: int, folder: Path) -> list[list[str]]:
        """Lay out a class in an empty folder; return the commands that grade it, two of which are run at once.

        Args:
            notebook: its name in `benchmarks.assignment`.
            size: how many students hand it in.
            folder: for everything that is written.
        """

    def require_full_marks(self, notebook: str, size: int, folder: Path) -> None:
        """Raise AssertionError where not every student of a class got every point."""

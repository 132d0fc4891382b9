"""The graders that are compared: each turns a class into commands, and proves afterwards that it was graded."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

__all__ = ["Grader"]


class Grader(Protocol):
    """One way to grade a class on this machine."""

    @property
    def name(self) -> str:
        """Its name in the tables."""

    def commands(self, notebook: str, size: int, folder: Path) -> list[list[str]]:
        """Write a class into an empty folder and return the commands that grade it. Two of them run at once.

        Args:
            notebook: its name in `benchmarks.assignment`.
            size: the number of students.
            folder: where everything is written.
        """

    def require_full_marks(self, notebook: str, size: int, folder: Path) -> None:
        """Raise AssertionError unless every student of a class got every point."""

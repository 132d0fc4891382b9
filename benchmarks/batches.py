"""Grade classes of several sizes, timed from the start of the commands to their end."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import Usage, measured
from benchmarks.peers import Grader

__all__ = ["Batch", "most_memory", "timed"]


@dataclass(frozen=True)
class Batch:
    """The cost of classes of several sizes for one grader; the two largest run with the same number of processes."""

    grader: str
    notebook: str
    usages: dict[int, Usage]

    @property
    def largest(self) -> int:
        """The size of the largest class."""
        return max(self.usages)

    @property
    def cpu(self) -> float:
        """CPU seconds of one more submission: the two largest classes without the cost of their start."""
        return self._of_one_more(lambda usage: usage.cpu)

    @property
    def wall(self) -> float:
        """Wall seconds of one more submission, two at once."""
        return self._of_one_more(lambda usage: usage.wall)

    @property
    def start_cpu(self) -> float:
        """CPU seconds that a class takes whatever its size."""
        return self.usages[self.largest].cpu - self.largest * self.cpu

    @property
    def start_wall(self) -> float:
        """Wall seconds that a class takes whatever its size."""
        return self.usages[self.largest].wall - self.largest * self.wall

    @property
    def a_minute(self) -> float:
        """Submissions of the largest class a minute, including the start."""
        return 60 * self.largest / self.usages[self.largest].wall

    @property
    def a_minute_warm(self) -> float:
        """Submissions a minute once everything has started."""
        return 60 / self.wall

    def _of_one_more(self, seconds: Callable[[Usage], float]) -> float:
        smaller, larger = sorted(self.usages)[-2:]
        return (seconds(self.usages[larger]) - seconds(self.usages[smaller])) / (larger - smaller)


def timed(grader: Grader, notebook: str, sizes: Sequence[int], say: Callable[[str], None]) -> Batch:
    """Grade a class of each size and require full marks for every submission."""
    usages = {}
    for size in sizes:
        usages[size] = usage = _graded(grader, notebook, size, look_at_memory=False)
        say(f"{grader.name}, {notebook}, {size}: {usage.wall:.1f} s, CPU {usage.cpu:.1f} s")
    return Batch(grader.name, notebook, usages)


def most_memory(grader: Grader, notebook: str, size: int, say: Callable[[str], None]) -> float:
    """Grade a class and return its peak memory in MiB."""
    usage = _graded(grader, notebook, size, look_at_memory=True)
    say(f"{grader.name}, {notebook}: at most {usage.memory:.0f} MiB")
    return usage.memory


def _graded(grader: Grader, notebook: str, size: int, *, look_at_memory: bool) -> Usage:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        usage = measured(grader.commands(notebook, size, folder), look_at_memory=look_at_memory)
        grader.require_full_marks(notebook, size, folder)
    return usage

"""A cold start of `grader check`, beside a Python process that only imports what every check needs."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.assignment import path_of
from benchmarks.measuring import Usage, measured

__all__ = ["cold_starts"]

_FAILS_ITEMS = 'status=0; "$@" || status=$?; test $status -le 1'


def cold_starts(notebook: str, runs: int, say: Callable[[str], None]) -> dict[str, Usage]:
    """Return the medians of `runs` alternating runs, after one of each that is not counted."""
    grader = str(Path(sys.executable).parent / "grader")
    checked = [grader, "check", str(path_of(notebook)), "--training", "none"]
    commands = {
        "import torch, torchvision": [sys.executable, "-c", "import torch, torchvision"],
        f"grader check {notebook}.ipynb": ["sh", "-c", _FAILS_ITEMS, "sh", *checked],
    }
    usages: dict[str, list[Usage]] = {name: [] for name in commands}
    for run in range(runs + 1):
        for name, command in commands.items():
            usage = measured([command])
            say(f"{name}: {usage.wall:.2f} s, CPU {usage.cpu:.2f} s")
            if run:
                usages[name].append(usage)
    return {name: _median(each) for name, each in usages.items()}


def _median(usages: list[Usage]) -> Usage:
    return Usage(statistics.median(each.wall for each in usages), statistics.median(each.cpu for each in usages))

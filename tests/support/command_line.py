"""The installed `grader` as a user starts it: a real process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

__all__ = ["GRADER", "SECONDS", "Ran", "Run", "refused"]

GRADER = Path(sys.executable).with_name("grader")
SECONDS = 120

Ran = subprocess.CompletedProcess[str]
Run = Callable[..., Ran]  # a fixture: it takes arguments, and variables of the environment by name


def refused(ran: Ran, *parts: str) -> None:
    """Require one clear line on standard error, nothing else, and the exit code of wrong input."""
    assert ran.returncode == 2, ran.stderr
    assert ran.stdout == ""
    assert ran.stderr.startswith("grader: ")
    assert ran.stderr.count("\n") == 1
    for part in parts:
        assert part in ran.stderr

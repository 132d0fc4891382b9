"""Which commands run in the resident grader, and how they get there.

A command that finds one running is handed over before anything is imported. If there is none, it reads its input as
ever, so that mistakes are told at once, and is handed over to a new one when it is about to grade.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

TYPE_CHECKING = False  # what type checkers take for true; the module typing is not imported yet
if TYPE_CHECKING:
    from grader.assignment import Assignment

__all__ = ["hand_over", "hand_over_to_new"]

_COMMANDS = ("batch", "check")
_NOT_HANDED_OVER = ("--no-daemon", "--devices", "--help", "-h", "--version", "-V")
_RESIDENT_GRADER = "grader.cli.resident_process"


def hand_over(words: Sequence[str]) -> int | None:
    """Run a command in the resident grader, and return its exit code. Return None if it has to run here.

    Args:
        words: the words of the command line, without the name of the program.
    """
    if not _is_eligible(words):
        return None
    from grader.resident.client import ResidentEnded, run_command

    try:
        return run_command(words)
    except ResidentEnded as ended:
        return _go_on_alone(words, ended)


def hand_over_to_new(assignment: Assignment, progress: Callable[[str], None] = lambda _: None) -> None:
    """Start a resident grader, and run the command of this process in it. Return if it has to run here.

    Args:
        assignment: the assignment of the command.
        progress: called with nothing when the command begins there, which then shows its own progress.

    Raises:
        SystemExit: with the exit code of the command.
    """
    words = sys.argv[1:]
    if "torch" in sys.modules or not _is_eligible(words):  # with torch, this is a fork of a resident grader
        return
    from grader.resident.client import ResidentEnded, start_resident

    try:
        folder = str(assignment.folder.absolute())
        code = start_resident(_RESIDENT_GRADER, words, folder, lambda: progress(""))
    except (ResidentEnded, OSError) as ended:
        code = _go_on_alone(words, ended)
    if code is not None:
        raise SystemExit(code)


def _is_eligible(words: Sequence[str]) -> bool:
    from grader.cli.runner_log import is_ci

    if not words or any(word.partition("=")[0] in _NOT_HANDED_OVER for word in words):
        return False
    if os.environ.get("GRADER_NO_DAEMON", "").lower() not in ("", "0", "false") or is_ci():
        return False
    return words[0] in _COMMANDS or (not words[0].startswith("-") and Path(words[0]).exists())


def _go_on_alone(words: Sequence[str], ended: Exception) -> int | None:
    """Say that the command starts again in this process. Return an exit code if it cannot."""
    message = f"the resident grader ended ({ended})"
    if "-" in words:  # what was on standard input has been read
        print(f"grader: {message}: run the command again", file=sys.stderr)
        return 3
    print(f"grader: {message}; starting again without it", file=sys.stderr)
    return None

"""The entry point of `grader`: run the command, and end quickly."""

from __future__ import annotations

import atexit
import os
import sys
import threading

from grader.cli import app

__all__ = ["main"]


def main() -> None:
    """Run the command line.

    Raises:
        SystemExit: with the exit code, unless the process ends at once.
    """
    try:
        app()
    except SystemExit as ended:
        if isinstance(ended.code, int) and "torch" in sys.modules and threading.active_count() == 1:
            _exit(ended.code)
        raise


def _exit(code: int) -> None:
    """End the process without tearing down its modules: with torch, that takes a tenth of the time of a check."""
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        return  # the pipe is closed: let Python report it in its own way
    os._exit(code)

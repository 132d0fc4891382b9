"""What `grader` runs: the command, and a quick end."""

from __future__ import annotations

import atexit
import os
import sys
import threading

from grader.cli import app

__all__ = ["main"]


def main() -> None:
    """Run the command that was given.

    Raises:
        SystemExit: with the exit code, where the process can end as usual.
    """
    try:
        app()
    except SystemExit as ended:
        if isinstance(ended.code, int) and "torch" in sys.modules and threading.active_count() == 1:
            _leave(ended.code)
        raise


def _leave(code: int) -> None:
    """End the process without taking its modules apart: with torch, that takes a tenth of a check."""
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        return  # nobody reads any more, of which Python tells in its own way
    os._exit(code)

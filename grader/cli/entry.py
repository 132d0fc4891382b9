"""The entry point of `grader`: run the command, and end quickly."""

# Whatever takes time is imported inside `main`, which ends quietly at Ctrl-C.
from __future__ import annotations

import os
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line.

    Raises:
        SystemExit: with the exit code, unless the process ends at once.
    """
    try:
        import signal
        import threading

        from grader.cli.handover import hand_over

        if (code := hand_over(sys.argv[1:])) is not None:
            os._exit(code)
        from grader.cli.commands import app

        app()
    except SystemExit as ended:
        # What is left takes a moment, and must not end in a traceback.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if isinstance(ended.code, int) and "torch" in sys.modules and threading.active_count() == 1:
            _exit(ended.code)
        raise
    except KeyboardInterrupt:
        os._exit(130)  # 128 and the number of SIGINT, as shells count


def _exit(code: int) -> None:
    """End the process without tearing down its modules: with torch, that takes a tenth of the time of a check."""
    import atexit

    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        return  # the pipe is closed: let Python report it in its own way
    os._exit(code)

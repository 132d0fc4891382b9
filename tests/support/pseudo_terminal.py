"""A command on a terminal of a given width, as a person sees it: a real pseudo-terminal, and Ctrl-C as a key."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CTRL_C", "Shown", "show_on_terminal"]

CTRL_C = b"\x03"
_COMMAND = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\r")


@dataclass(frozen=True)
class Shown:
    """What a command has shown.

    Attributes:
        raw: all that was written to the terminal.
        code: the exit code, negative for a signal.
        seconds: from the last key, else from the start, to the end of the process.
    """

    raw: str
    code: int
    seconds: float

    @property
    def text(self) -> str:
        """What was written, without commands to the terminal."""
        return _COMMAND.sub("", self.raw)


def show_on_terminal(
    command: Sequence[str | Path],
    folder: Path,
    columns: int,
    *,
    press: Sequence[tuple[bytes, Callable[[str, float], bool]]] = (),
    variables: Mapping[str, str | None] | None = None,
    seconds: float = 120,
) -> Shown:
    """Run a command on a new terminal.

    Args:
        command: the program and its arguments.
        folder: the working folder.
        columns: the width of the terminal.
        press: keys, and when to press each: a function of the text so far and of the seconds since the start.
        variables: variables of the environment; None to remove one.
        seconds: the time after which the process is killed.
    """
    environment = {**os.environ, "TERM": "xterm-256color"}
    for name in ("COLUMNS", "LINES", "NO_COLOR", "CI", "GITHUB_ACTIONS"):
        environment.pop(name, None)
    for name, value in (variables or {}).items():
        environment.pop(name, None)
        environment |= {name: value} if value is not None else {}
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))

    def take_terminal() -> None:
        # Keys reach the process group in the foreground; a job that a shell starts in the background ignores SIGINT.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    started = time.monotonic()
    process = subprocess.Popen(
        [str(word) for word in command],
        cwd=folder,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=take_terminal,
    )
    os.close(theirs)
    shown, since, waiting = b"", started, list(press)
    try:
        while True:
            now = time.monotonic()
            if now - started > seconds:
                process.kill()
            if waiting and waiting[0][1](shown.decode("utf-8", "replace"), now - started):
                os.write(ours, waiting.pop(0)[0])
                since = now
            if select.select([ours], [], [], 0.02)[0]:
                try:
                    part = os.read(ours, 65536)
                except OSError:  # the last process has closed the terminal
                    break
                if not part:
                    break
                shown += part
        code = process.wait(timeout=seconds)
        return Shown(shown.decode("utf-8", "replace"), code, time.monotonic() - since)
    finally:
        os.close(ours)
        if process.poll() is None:
            process.kill()
            process.wait()

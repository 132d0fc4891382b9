"""Commands that use a resident grader, each set of tests in a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.command_line import GRADER, SECONDS, Ran

__all__ = ["ResidentCommands", "open_resident_commands"]


class ResidentCommands:
    """Runs commands as a user with a resident grader does.

    Args:
        folder: the folder that commands run in.
        sockets: the folder of the socket.
    """

    def __init__(self, folder: Path, sockets: Path) -> None:
        self.folder, self.sockets = folder, sockets

    @property
    def environment(self) -> dict[str, str]:
        """The variables that commands are started with."""
        kept = {name: value for name, value in os.environ.items() if name not in ("CI", "GRADER_NO_DAEMON")}
        return {**kept, "GRADER_DAEMON_DIR": str(self.sockets), "COLUMNS": "200"}

    def start(self, *words: str | Path, interrupts: bool = True, **variables: str) -> subprocess.Popen[str]:
        """Start a command. Without `interrupts` it ignores SIGINT, as a background job of a shell does."""
        handler = signal.SIG_DFL if interrupts else signal.SIG_IGN
        return subprocess.Popen(
            [GRADER, *words],
            cwd=self.folder,
            env={**self.environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            preexec_fn=lambda: signal.signal(signal.SIGINT, handler),
        )

    def run(self, *words: str | Path, stdin: str = "", **variables: str) -> Ran:
        """Run a command to its end."""
        return subprocess.run(
            [GRADER, *words],
            cwd=self.folder,
            env={**self.environment, **variables},
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            timeout=SECONDS,
        )

    def status(self) -> list[dict[str, Any]]:
        """Return what `grader daemon status` says."""
        found: list[dict[str, Any]] = json.loads(self.run("daemon", "status", "--json").stdout)
        return found

    def find_process(self) -> int:
        """Return the process id of the only resident grader."""
        (found,) = self.status()
        return int(found["pid"])


@contextmanager
def open_resident_commands(folder: Path) -> Iterator[ResidentCommands]:
    """Yield commands with a folder of their own, and end their resident graders."""
    work, sockets = folder / "work", folder / "sockets"
    work.mkdir()
    sockets.mkdir(mode=0o700)
    commands = ResidentCommands(work, sockets)
    try:
        yield commands
    finally:
        commands.run("daemon", "stop")

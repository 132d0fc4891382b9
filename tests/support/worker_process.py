"""A worker that dies where a test wants it to: `python -m tests.support.worker_process PROCESSES QUEUE...`.

It is `grader worker`, watched through its log. GRADER_TEST_TRAP names a file; the first of its processes that comes to
the step written there removes the file and sends itself SIGKILL.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from kombu.transport.redis import QoS

from grader.service.settings import Settings
from grader.service.worker import run_worker

__all__ = ["TAKEN", "Trap"]

TAKEN = "taken"  # from Redis, and noted nowhere: between Kombu's two steps


class Trap(logging.Handler):
    """Springs at a step that is told to the log."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    def emit(self, record: logging.LogRecord) -> None:
        self.step(record.getMessage())

    def step(self, name: str) -> None:
        """Die if this is the step, and nobody died of it yet."""
        try:
            if self._file.read_text() != name:
                return
            self._file.unlink()
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> int:
    """Run a worker with the trap in it."""
    trap = Trap(Path(os.environ["GRADER_TEST_TRAP"]))
    for name in ("grader.service.enqueue", "grader.service.tasks"):
        steps = logging.getLogger(name)
        steps.setLevel(logging.DEBUG)
        steps.addHandler(trap)

    class TrappedQoS(QoS):  # type: ignore[misc]
        def append(self, *arguments: Any) -> None:
            trap.step(TAKEN)
            super().append(*arguments)

    from kombu.transport.redis import Channel

    Channel.QoS = TrappedQoS
    return run_worker(Settings.from_environment(), sys.argv[2:], int(sys.argv[1]))


if __name__ == "__main__":
    sys.exit(main())

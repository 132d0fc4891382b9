"""Starting the process that loads everything once (`child.py`): anew, or as a fork of a process that has loaded it."""

from __future__ import annotations

import atexit
import os
import select
import signal
import sys
import tempfile
import threading
import traceback
from contextlib import suppress
from typing import IO, NoReturn

from grader.sandbox.protocol.channels import Packets

__all__ = ["LoadingProcess", "prepare_fork", "start_loading"]


class LoadingProcess:
    """A process that runs `child.py`.

    Attributes:
        line: our end of the line to it.
        log: the file that its stdout and stderr go to.

    Args:
        line: our end of the line to it.
        log: the file that its stdout and stderr go to.
        pid: its process id.
    """

    def __init__(self, line: Packets, log: IO[bytes], pid: int) -> None:
        self.line, self.log = line, log
        self._pid = pid
        self._handle = os.pidfd_open(pid)
        self._exit_code: int | None = None
        self._lock = threading.Lock()

    @property
    def ended(self) -> bool:
        """Whether the process has ended."""
        return self._exit_code is not None or bool(select.select([self._handle], [], [], 0)[0])

    def wait(self) -> int:
        """Wait for the end of the process, and return its exit code, or a signal's number times -1."""
        with self._lock:
            if self._exit_code is None:
                self._exit_code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
            return self._exit_code

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, if the process has not ended."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, number)

    def close(self) -> None:
        """End the process and wait for it."""
        self.send_signal(signal.SIGTERM)
        self.wait()
        os.close(self._handle)
        self.line.close()
        self.log.close()


_prepared: list[LoadingProcess] = []  # one, or none


def prepare_fork() -> None:
    """Fork this process for the next call of `start_loading`. Call it before a thread starts."""
    line, peer = Packets.pair()
    log = tempfile.TemporaryFile()  # noqa: SIM115
    pid = os.fork()
    if pid == 0:
        line.close()
        _become_child(peer.detach(), log)
    peer.close()
    _prepared.append(LoadingProcess(line, log, pid))


def start_loading() -> LoadingProcess:
    """Return a process that runs `child.py`: the fork that was prepared, or a new one."""
    if _prepared:
        return _prepared.pop()
    line, peer = Packets.pair()
    log = tempfile.TemporaryFile()  # noqa: SIM115
    with peer:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-P", "-m", "grader.batch.child", "3"],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log.fileno(), 1),
                (os.POSIX_SPAWN_DUP2, log.fileno(), 2),
                (os.POSIX_SPAWN_DUP2, peer.fileno(), 3),
            ],
            setsid=True,  # Ctrl-C reaches only the command, which then ends this process and its forks
        )
    return LoadingProcess(line, log, pid)


def _become_child(descriptor: int, log: IO[bytes]) -> NoReturn:
    status = 1
    try:
        atexit._clear()  # the handlers are those of the process that was forked
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDONLY)
        for target, source in enumerate((nothing, log.fileno(), log.fileno())):
            os.dup2(source, target)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        from grader.batch.child import main

        main(descriptor)
        status = 0
    except BaseException:  # nothing may propagate into the code of the process that was forked
        traceback.print_exc()
    finally:
        os._exit(status)

"""The trusted ends of `grading_process.py`: a process that is loaded once, and its forks, which grade."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, Any

from grader.errors import InputError, SystemFault
from grader.sandbox.protocol.channels import Packets
from grader.sandbox.protocol.encoding import Closed, Malformed

__all__ = ["GradingProcess", "LoadedProcess"]

_SECONDS_TO_START = 300  # it imports torch, and so does its warm process; afterwards it says how long it may be silent
_SECONDS_TO_FORK = 30
_SECONDS_TO_END = 10
_SHOWN_LOG = 2000  # characters


class LoadedProcess:
    """A process that has loaded what all gradings take; several threads may have it forked.

    Its forks outlive it: where it is killed, none of them is lost.

    Args:
        shared: what all gradings have in common, as `grading_process` takes it.
    """

    def __init__(self, shared: Mapping[str, Any]) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        self._line, theirs = Packets.pair()
        self._lock = threading.Lock()
        self._ready = False
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "grader.batch.child", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,  # Ctrl-C is for whoever started us, who then ends this process and its forks
            )
        with suppress(Closed):  # who waits for an answer hears of it
            self._line.send(dict(shared))

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.poll() is not None

    def fork(self, lent: socket.socket | None = None) -> GradingProcess:
        """Return a new process that grades, once all is loaded.

        Args:
            lent: a line to a warm process, which is the new process's own from now on.

        Raises:
            InputError: the assignment is wrong.
            SystemFault: this process died, or was silent for too long and was killed.
        """
        log = tempfile.TemporaryFile()  # noqa: SIM115
        ours, theirs = socket.socketpair()
        given = [theirs, *([lent] if lent else [])]
        try:
            with self._lock:
                self._wait_until_ready()
                descriptors = (log.fileno(), *(each.fileno() for each in given))
                pid = self._ask({}, descriptors, _SECONDS_TO_FORK)["pid"]
                return GradingProcess(self, pid, ours, log)
        except BaseException:
            ours.close()
            log.close()
            raise
        finally:
            for each in given:
                each.close()

    def exit_code(self, pid: int) -> int | None:
        """Return what a fork that is gone ended with; None where nobody is left who knows."""
        with self._lock, suppress(SystemFault):
            return int(self._ask({"ended": pid}, (), _SECONDS_TO_END)["exit_code"])
        return None

    def _wait_until_ready(self) -> None:
        if not self._ready:
            answer = self._answer(_SECONDS_TO_START)
            if "wrong" in answer:
                raise InputError(answer["wrong"])
            self._ready = True

    def _ask(self, order: dict[str, Any], descriptors: tuple[int, ...], seconds: float) -> dict[str, Any]:
        with suppress(Closed, TimeoutError):
            self._line.send(order, descriptors)
        return self._answer(seconds)

    def _answer(self, seconds: float) -> dict[str, Any]:
        """Return the process's next answer.

        Raises:
            SystemFault: it died, or said nothing for so long and was killed.
        """
        silent = ""
        try:
            return dict(self._line.receive(seconds)[0])
        except TimeoutError:
            silent = f"was silent for {seconds:.0f} s and was killed"
            self._process.kill()
        except (Closed, Malformed):
            self._process.terminate()
        ended = silent or _how(self._process.wait())
        raise SystemFault(f"the process that gradings are forked from {ended}{_last_words(self._log)}")

    def stop(self) -> None:
        """Have the process end, whatever it is doing; forks go on."""
        self._process.terminate()

    def close(self) -> None:
        """End the process and wait for it."""
        self.stop()
        self._process.wait()
        self._line.close()
        self._log.close()


class GradingProcess:
    """A process that grades one submission after the other.

    Args:
        loaded: what it was forked from.
        pid: its number.
        line: to it.
        log: what it writes on stderr.

    Raises:
        SystemFault: it is gone already.
    """

    def __init__(self, loaded: LoadedProcess, pid: int, line: socket.socket, log: IO[bytes]) -> None:
        try:
            self._handle = os.pidfd_open(pid)
        except ProcessLookupError:
            raise SystemFault("the process that graded ended, with that which it was forked from") from None
        self._loaded = loaded
        self._pid = pid
        self._line = line
        self._answers = line.makefile("rb")
        self._log = log
        self._patience: float = _SECONDS_TO_START
        self._exit_code: int | None = None

    def require_ready(self) -> None:
        """Wait until it takes submissions.

        Raises:
            InputError: the assignment is wrong.
            SystemFault: it died.
        """
        answer = self._answer(lambda _: None)
        if "wrong" in answer:
            raise InputError(answer["wrong"])

    def grade(self, submission: Mapping[str, Any], told: Callable[[str], None]) -> dict[str, Any]:
        """Have a submission graded and return the answer.

        Args:
            submission: plain JSON values, as `grading_process` takes it.
            told: hears in a few words what the process is doing.

        Raises:
            SystemFault: the process died, or was silent for too long and was killed; it cannot be asked again.
        """
        with suppress(OSError):  # who waits for an answer hears of it
            self._line.sendall(json.dumps(submission).encode() + b"\n")
        return self._answer(told)

    def _answer(self, told: Callable[[str], None]) -> dict[str, Any]:
        silent = ""
        try:
            while True:
                self._line.settimeout(self._patience)
                message: dict[str, Any] = json.loads(self._answers.readline())
                if "patience" in message:
                    self._patience = message["patience"]
                elif "doing" in message:
                    told(message["doing"])
                else:
                    return message
        except TimeoutError:
            silent = f"was silent for {self._patience:.0f} s and was killed"
            self._send_signal(signal.SIGKILL)
        except (OSError, ValueError):
            pass
        self._wait()
        raise SystemFault(f"the process that graded {silent or _how(self._exit_code)}{_last_words(self._log)}")

    def stop(self) -> None:
        """Have the process end, whatever it is doing, and a sandbox cleared away."""
        self._send_signal(signal.SIGTERM)

    def close(self) -> None:
        """End the process and wait for it."""
        self.stop()
        self._wait()
        self._answers.close()
        self._line.close()
        self._log.close()
        os.close(self._handle)

    def _wait(self) -> None:
        if not select.select([self._handle], [], [], _SECONDS_TO_END)[0]:
            self._send_signal(signal.SIGKILL)
            select.select([self._handle], [], [])
        if self._exit_code is None:
            self._exit_code = self._loaded.exit_code(self._pid)

    def _send_signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, number)


def _how(exit_code: int | None) -> str:
    """Say how a process ended."""
    if exit_code is None:
        return "ended, nobody knows how"
    if exit_code == -signal.SIGKILL:
        return "was killed (is there too little memory?)"
    return f"ended with exit code {exit_code}" if exit_code >= 0 else f"ended by {signal.Signals(-exit_code).name}"


def _last_words(log: IO[bytes]) -> str:
    log.seek(max(0, log.seek(0, os.SEEK_END) - _SHOWN_LOG))
    words = log.read().decode(errors="replace").strip()
    return f"; its last words: {words}" if words else ""

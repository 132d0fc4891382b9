"""The trusted ends of `child.py`: a process that loads everything once, and its forks, which grade."""

from __future__ import annotations

import os
import select
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO, TypeVar

from grader.batch.loading import start_loading
from grader.batch.messages import (
    GRADE_ANSWERS,
    MAX_FRAME_BYTES,
    STARTS,
    BatchSettings,
    CommandError,
    ExitCode,
    ExitCodeRequest,
    FinishedReport,
    Forked,
    ForkRequest,
    GradeRequest,
    GradingFault,
    GradingStep,
    LoadedRequest,
    LongestSilence,
    SubmittedFile,
)
from grader.collection import CollectedSubmission
from grader.errors import InputError, SystemFault
from grader.gpu.device import GPU
from grader.sandbox.protocol.channels import Channel
from grader.sandbox.protocol.encoding import Closed, Malformed
from grader.sandbox.protocol.messages import pack_message, unpack_message

__all__ = ["GradingProcess", "LoadedProcess"]

_SECONDS_TO_START = 300  # importing torch, here and in its zygote; later LongestSilence sets the limit
_SECONDS_TO_FORK = 30
_SECONDS_TO_END = 10
_SHOWN_LOG = 2000  # characters

_Answer = TypeVar("_Answer")


class LoadedProcess:
    """A process that has loaded what all submissions need; several threads may fork it.

    Its forks outlive it: if it is killed, none of them is lost.

    Args:
        settings: what all submissions have in common.
    """

    def __init__(self, settings: BatchSettings) -> None:
        self._process = start_loading()
        self._line = self._process.line
        self._lock = threading.Lock()
        self._ready = False
        with suppress(Closed):  # `_receive` reports it
            self._line.send(pack_message(settings))

    @property
    def ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.ended

    def fork(self, zygote_line: socket.socket | None = None, gpu: GPU | None = None) -> GradingProcess:
        """Return a new process that grades, as soon as everything is loaded.

        Args:
            zygote_line: a line to a zygote, which belongs to the new process from now on.
            gpu: the GPU that the new process has for itself; None for none.

        Raises:
            InputError: the assignment is wrong.
            SystemFault: this process died, or was silent for too long and was killed.
        """
        log = tempfile.TemporaryFile()  # noqa: SIM115
        line, peer = socket.socketpair()
        handed_over = [peer, *([zygote_line] if zygote_line else [])]
        try:
            with self._lock:
                self._wait_until_ready()
                descriptors = (log.fileno(), *(connection.fileno() for connection in handed_over))
                pid = self._ask(ForkRequest(gpu), Forked, _SECONDS_TO_FORK, descriptors).pid
                return GradingProcess(self, pid, line, log)
        except BaseException:
            line.close()
            log.close()
            raise
        finally:
            for connection in handed_over:
                connection.close()

    def exit_code(self, pid: int) -> int | None:
        """Return the exit code of a fork that has ended, or None if this process is gone, too."""
        with self._lock, suppress(SystemFault):
            return self._ask(ExitCodeRequest(pid), ExitCode, _SECONDS_TO_END).code
        return None

    def _wait_until_ready(self) -> None:
        if not self._ready:
            answer = self._receive(STARTS, _SECONDS_TO_START)
            if isinstance(answer, CommandError):
                raise InputError(answer.message)
            self._ready = True

    def _ask(
        self,
        request: LoadedRequest,
        answer: type[_Answer],
        seconds: float,
        descriptors: tuple[int, ...] = (),
    ) -> _Answer:
        with suppress(Closed, TimeoutError):
            self._line.send(pack_message(request), descriptors)
        return self._receive((answer,), seconds)

    def _receive(self, kinds: Sequence[type[_Answer]], seconds: float) -> _Answer:
        """Return the process's next message, one of `kinds`.

        Raises:
            SystemFault: it died, or sent nothing for `seconds` and was killed.
        """
        silent = ""
        try:
            return unpack_message(self._line.receive(seconds)[0], *kinds)
        except TimeoutError:
            silent = f"was silent for {seconds:.0f} s and was killed"
            self._process.send_signal(signal.SIGKILL)
        except (Closed, Malformed):
            self.stop()
        ended = silent or _describe_end(self._process.wait())
        raise SystemFault(f"the process that grading processes are forked from {ended}{_quote_end(self._process.log)}")

    def stop(self) -> None:
        """End the process, whatever it is doing; its forks go on."""
        self._process.send_signal(signal.SIGTERM)

    def close(self) -> None:
        """End the process and wait for it."""
        self._process.close()


class GradingProcess:
    """A process that grades one submission after the other.

    Args:
        loaded: the process that it was forked from.
        pid: its process id.
        line: our end of the line to it.
        log: the file that its stdout and stderr go to.

    Raises:
        SystemFault: it has ended already.
    """

    def __init__(self, loaded: LoadedProcess, pid: int, line: socket.socket, log: IO[bytes]) -> None:
        try:
            self._handle = os.pidfd_open(pid)
        except ProcessLookupError:
            raise SystemFault("the grading process ended together with the one it was forked from") from None
        self._loaded = loaded
        self._pid = pid
        self._line = Channel(line, MAX_FRAME_BYTES, MAX_FRAME_BYTES)
        self._log = log
        self._longest_silence: float = _SECONDS_TO_START
        self._exit_code: int | None = None

    def require_ready(self) -> None:
        """Wait until the process takes submissions.

        Raises:
            InputError: the assignment is wrong.
            SystemFault: the process died.
        """
        answer = self._receive(*STARTS)
        if isinstance(answer, CommandError):
            raise InputError(answer.message)

    def grade(self, submission: CollectedSubmission, progress: Callable[[str], None]) -> FinishedReport | GradingFault:
        """Grade a submission and return the outcome.

        Args:
            submission: the files of the submission.
            progress: called with a few words on what the process is doing.

        Raises:
            InputError: the data set is not in its folder, or the assignment is wrong by now.
            SystemFault: the process died, or was silent for too long and was killed; it cannot be used again.
        """
        files = tuple(SubmittedFile(name, content) for name, content in submission.files)
        request = GradeRequest(files, submission.notices)
        with suppress(Closed, TimeoutError):  # `_receive` reports it
            self._line.send(pack_message(request), self._longest_silence)
        while True:
            message = self._receive(*GRADE_ANSWERS)
            match message:
                case LongestSilence():
                    self._longest_silence = message.seconds
                case GradingStep():
                    progress(message.text)
                case CommandError():
                    raise InputError(message.message)
                case _:
                    return message

    def _receive(self, *kinds: type[_Answer]) -> _Answer:
        silent = ""
        try:
            return unpack_message(self._line.receive(self._longest_silence), *kinds)
        except TimeoutError:
            silent = f"was silent for {self._longest_silence:.0f} s and was killed"
            self._send_signal(signal.SIGKILL)
        except (Closed, Malformed):
            pass
        self._wait()
        raise SystemFault(f"the grading process {silent or _describe_end(self._exit_code)}{_quote_end(self._log)}")

    def stop(self) -> None:
        """End the process, whatever it is doing; it removes its sandbox first."""
        self._send_signal(signal.SIGTERM)

    def close(self) -> None:
        """End the process and wait for it."""
        self.stop()
        self._wait()
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


def _describe_end(exit_code: int | None) -> str:
    """Return in words how a process ended."""
    if exit_code is None:
        return "ended with an unknown exit code"
    if exit_code == -signal.SIGKILL:
        return "was killed (is there too little memory?)"
    return f"ended with exit code {exit_code}" if exit_code >= 0 else f"ended by {signal.Signals(-exit_code).name}"


def _quote_end(log: IO[bytes]) -> str:
    """Return the last lines of a log, introduced as such, or nothing if it is empty."""
    log.seek(max(0, log.seek(0, os.SEEK_END) - _SHOWN_LOG))
    text = log.read().decode(errors="replace").strip()
    return f"; the end of its log: {text}" if text else ""

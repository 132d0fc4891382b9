"""The processes that grade a batch: each is started anew where it dies, and its submission tried again."""

from __future__ import annotations

import base64
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

from grader.collection import HandedIn
from grader.errors import InputError, SystemFault
from grader.journal import Record, Status
from grader.report import Report

__all__ = ["Graders", "Outcome", "Watcher"]

_TRIES = 3  # of a submission, and of starting a process
_SECONDS_TO_START = 300  # it imports torch, and so does its warm process; afterwards it says how long it may be silent
_SECONDS_TO_END = 10
_SHOWN_LOG = 2000  # characters


class Watcher(Protocol):
    """Who is told how far a batch is; `doing` is called by several threads."""

    def begins(self, submissions: int, done: int, jobs: int) -> None:
        """Hear how many submissions there are, how many were done before, and how many processes grade the others."""

    def doing(self, process: int, key: str, what: str) -> None:
        """Hear what a process does, counted from 0; with no key it has nothing to do."""

    def ended(self, record: Record, report: Report | None) -> None:
        """Hear that a submission is done with, and written."""


@dataclass(frozen=True)
class Outcome:
    """How a grading ended."""

    status: Status
    message: str = ""
    report: Report | None = None
    seconds: float = 0.0


class Graders:
    """Several processes that grade, each looked after by a thread of its own.

    The thread that starts a process outlives it, because the kernel may end a process with that thread.

    Args:
        shared: what all gradings have in common, as `grading_process` takes it.
        watcher: who is told how far they are.
        lines: to a warm process, one for each that grades; where it ends, or one is started anew, that has its own.
    """

    def __init__(self, shared: Mapping[str, Any], watcher: Watcher, lines: Sequence[socket.socket]) -> None:
        self._shared = shared
        self._lines = list(lines)
        self._watcher = watcher
        self._waiting: queue.SimpleQueue[list[HandedIn]] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[tuple[list[HandedIn], Outcome] | Exception] = queue.SimpleQueue()
        self._processes: dict[int, _Process] = {}
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._closed = False

    def graded(self, waiting: Sequence[list[HandedIn]], jobs: int) -> Iterator[tuple[list[HandedIn], Outcome]]:
        """Grade the first of each list; give lists as they are done.

        Raises:
            InputError: the command was wrong.
            SystemFault: a process could not be started.
        """
        for same in waiting:
            self._waiting.put(same)
        for number in range(jobs):
            thread = threading.Thread(target=self._serve, args=(number,))
            thread.start()
            self._threads.append(thread)  # only now: one that never ran cannot be waited for
        for _ in waiting:
            ended = self._ended.get()
            if isinstance(ended, Exception):
                raise ended
            yield ended

    def close(self) -> None:
        """End the processes, whatever they are doing."""
        with self._lock:
            self._closed = True
            for process in self._processes.values():
                process.stop()
        for thread in self._threads:
            thread.join()
        for line in self._lines:
            line.close()

    def _serve(self, number: int) -> None:
        try:
            while not self._closed:
                same = self._waiting.get_nowait()
                self._ended.put((same, self._graded(number, same[0])))
                self._watcher.doing(number, "", "")
        except queue.Empty:
            pass
        except Exception as error:
            self._ended.put(error)
        finally:
            self._end(number)

    def _graded(self, number: int, one: HandedIn) -> Outcome:
        if not one.files:
            return Outcome(Status.UNREADABLE, "; ".join(("there is no notebook", *one.notices)))
        files = [{"name": name, "base64": base64.b64encode(content).decode()} for name, content in one.files]
        outcome = Outcome(Status.FAILED)
        for _ in range(_TRIES):
            process = self._process(number, one.key)
            started = time.monotonic()
            try:
                answer = process.ask({"files": files}, lambda what: self._watcher.doing(number, one.key, what))
            except SystemFault as error:
                self._end(number)
                answer = {"fault": str(error)}
            outcome = replace(_outcome(answer), seconds=round(time.monotonic() - started, 3))
            if outcome.status is not Status.FAILED or self._closed:
                break
        return outcome

    def _process(self, number: int, key: str) -> _Process:
        """Return the process of a thread, which is started where there is none.

        Raises:
            InputError: the assignment is wrong.
            SystemFault: it could not be started, three times.
        """
        for left in reversed(range(_TRIES)):
            with self._lock:
                if self._closed:
                    raise SystemFault("the batch was stopped")
                if number in self._processes:
                    return self._processes[number]
                process = self._processes[number] = _Process(self._lines.pop() if self._lines else None)
            self._watcher.doing(number, key, "starting")
            try:
                answer = process.ask(self._shared, lambda _: None)
                if "wrong" in answer:
                    raise InputError(answer["wrong"])
                return process
            except SystemFault:
                self._end(number)
                if not left:
                    raise
        raise AssertionError

    def _end(self, number: int) -> None:
        with self._lock:
            process = self._processes.pop(number, None)
        if process is not None:
            process.close()


def _outcome(answer: Mapping[str, str]) -> Outcome:
    if "wrong" in answer:
        raise InputError(answer["wrong"])
    if "report" in answer:
        return Outcome(Status.GRADED, report=Report.from_json(answer["report"]))
    if "unreadable" in answer:
        return Outcome(Status.UNREADABLE, answer["unreadable"])
    return Outcome(Status.FAILED, answer["fault"])


class _Process:
    """The trusted end of `grading_process.py`."""

    def __init__(self, line: socket.socket | None) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        self._patience: float = _SECONDS_TO_START
        self._was_silent = False
        passed = [line.fileno()] if line else []
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "grader.grading_process", *map(str, passed)],
            pass_fds=passed,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,  # Ctrl-C is for whoever started us, who then ends this process
        )
        if line:
            line.close()

    def ask(self, order: Mapping[str, Any], told: Callable[[str], None]) -> dict[str, Any]:
        """Give an order and return its answer.

        Args:
            order: plain JSON values.
            told: hears in a few words what the process is doing.

        Raises:
            SystemFault: the process died, or was silent for too long and was killed; it cannot be asked again.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
            while True:
                message: dict[str, Any] = json.loads(self._line())
                if "patience" in message:
                    self._patience = message["patience"]
                elif "doing" in message:
                    told(message["doing"])
                else:
                    return message
        except (OSError, ValueError):
            raise SystemFault(self._last_words()) from None

    def stop(self) -> None:
        """Have the process end, whatever it is doing, and a sandbox cleared away."""
        self._process.terminate()

    def close(self) -> None:
        """End the process and wait for it."""
        self.stop()
        self._wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            assert stream is not None
            with suppress(BrokenPipeError):  # of an order that was never read
                stream.close()

    def _wait(self) -> int:
        try:
            return self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        silent = threading.Timer(self._patience, self._silenced)
        silent.start()
        try:
            return self._process.stdout.readline()
        finally:
            silent.cancel()

    def _silenced(self) -> None:
        self._was_silent = True
        self._process.kill()

    def _last_words(self) -> str:
        ended = self._wait()
        self._log.seek(max(0, self._log.seek(0, os.SEEK_END) - _SHOWN_LOG))
        words = self._log.read().decode(errors="replace").strip()
        if self._was_silent:
            how = f"was silent for {self._patience:.0f} s and was killed"
        elif ended == -signal.SIGKILL:
            how = "was killed (is there too little memory?)"
        else:
            how = f"ended with exit code {ended}" if ended >= 0 else f"ended by {signal.Signals(-ended).name}"
        return f"the process that graded {how}" + (f"; its last words: {words}" if words else "")

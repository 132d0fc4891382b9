"""The processes that grade a batch: each is forked anew where it dies, and its submission tried again."""

from __future__ import annotations

import base64
import queue
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from grader.batch.grading_process import GradingProcess, LoadedProcess
from grader.collection import CollectedSubmission
from grader.errors import InputError, SystemFault
from grader.results.journal import JournalRecord, Status
from grader.results.report import Report

__all__ = ["Graders", "GradingOutcome", "ProgressListener"]

_TRIES = 3  # of a submission, and of starting a process


class ProgressListener(Protocol):
    """Who is told how far a batch is; `doing` is called by several threads."""

    def begins(self, submissions: int, done: int, jobs: int) -> None:
        """Hear how many submissions there are, how many were done before, and how many processes grade the others."""

    def doing(self, process: int, key: str, what: str) -> None:
        """Hear what a process does, counted from 0; with no key it has nothing to do."""

    def ended(self, record: JournalRecord, report: Report | None) -> None:
        """Hear that a submission is done with, and written."""


@dataclass(frozen=True)
class GradingOutcome:
    """How a grading ended."""

    status: Status
    message: str = ""
    report: Report | None = None
    seconds: float = 0.0


class Graders:
    """Several processes that grade, forked from one and each looked after by a thread of its own.

    Args:
        shared: what all gradings have in common, as `grading_process` takes it.
        watcher: who is told how far they are.
        lines: to a warm process, one for each that grades; where it ends, or one is started anew, that has its own.
    """

    def __init__(self, shared: Mapping[str, Any], watcher: ProgressListener, lines: Sequence[socket.socket]) -> None:
        self._shared = shared
        self._lines = list(lines)
        self._watcher = watcher
        self._waiting: queue.SimpleQueue[list[CollectedSubmission]] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[tuple[list[CollectedSubmission], GradingOutcome] | Exception] = (
            queue.SimpleQueue()
        )
        self._loaded: list[LoadedProcess] = []  # the last is forked, the others died
        self._processes: dict[int, GradingProcess] = {}
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._closed = False

    def graded(
        self, waiting: Sequence[list[CollectedSubmission]], jobs: int
    ) -> Iterator[tuple[list[CollectedSubmission], GradingOutcome]]:
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
            for loaded in self._loaded:
                loaded.stop()
        for thread in self._threads:
            thread.join()
        for loaded in self._loaded:
            loaded.close()
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

    def _graded(self, number: int, one: CollectedSubmission) -> GradingOutcome:
        if not one.files:
            return GradingOutcome(Status.UNREADABLE, "; ".join(("there is no notebook", *one.notices)))
        files = [{"name": name, "base64": base64.b64encode(content).decode()} for name, content in one.files]
        outcome = GradingOutcome(Status.FAILED)
        for _ in range(_TRIES):
            process = self._process(number, one.key)
            started = time.monotonic()
            try:
                answer = process.grade({"files": files}, lambda what: self._watcher.doing(number, one.key, what))
            except SystemFault as error:
                self._end(number)
                answer = {"fault": str(error)}
            outcome = replace(_outcome(answer), seconds=round(time.monotonic() - started, 3))
            if outcome.status is not Status.FAILED or self._closed:
                break
        return outcome

    def _process(self, number: int, key: str) -> GradingProcess:
        """Return the process of a thread, which is forked where there is none.

        Raises:
            InputError: the assignment is wrong.
            SystemFault: it could not be started, three times.
        """
        if number in self._processes:
            return self._processes[number]
        self._watcher.doing(number, key, "starting")
        for left in reversed(range(_TRIES)):
            try:
                process = self._forked(number)
                process.require_ready()
                return process
            except SystemFault:
                self._end(number)
                if not left or self._closed:
                    raise
        raise AssertionError

    def _forked(self, number: int) -> GradingProcess:
        with self._lock:
            self._require_open()
            if not self._loaded or self._loaded[-1].ended:
                self._loaded.append(LoadedProcess(self._shared))
            loaded, lent = self._loaded[-1], self._lines.pop() if self._lines else None
        process = loaded.fork(lent)  # not under the lock: whoever stops us needs it, and loading takes seconds
        with self._lock:
            self._processes[number] = process
            self._require_open()
        return process

    def _require_open(self) -> None:
        if self._closed:
            raise SystemFault("the batch was stopped")

    def _end(self, number: int) -> None:
        with self._lock:
            process = self._processes.pop(number, None)
        if process is not None:
            process.close()


def _outcome(answer: Mapping[str, str]) -> GradingOutcome:
    if "wrong" in answer:
        raise InputError(answer["wrong"])
    if "report" in answer:
        return GradingOutcome(Status.GRADED, report=Report.from_json(answer["report"]))
    if "unreadable" in answer:
        return GradingOutcome(Status.UNREADABLE, answer["unreadable"])
    return GradingOutcome(Status.FAILED, answer["fault"])

"""The processes that grade a batch: a process that dies is replaced, and its submission is tried again."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from grader.batch.grading_process import GradingProcess, LoadedProcess
from grader.batch.messages import BatchSettings, FinishedReport, GradingFault
from grader.collection import CollectedSubmission
from grader.errors import SystemFault
from grader.gpu.device import GPU
from grader.results.journal import JournalRecord, Status
from grader.results.report import Report

__all__ = ["Graders", "GradingOutcome", "ProgressListener"]

_TRIES = 3  # of a submission, and of starting a process


class ProgressListener(Protocol):
    """What a batch reports its progress to; several threads call `on_step`."""

    def on_start(self, submissions: int, done: int, jobs: int) -> None:
        """Take the number of submissions, of those graded earlier, and of processes that grade the others."""

    def on_step(self, process: int, key: str, what: str) -> None:
        """Take what a process, counted from 0, is doing for the submission `key`. If `key` is empty, it is idle."""

    def on_end(self, record: JournalRecord, report: Report | None) -> None:
        """Take the record and the report of a submission that has been graded and written."""


@dataclass(frozen=True)
class GradingOutcome:
    """How the grading of one submission ended; `sources` are its cells, packed, for the page of its report."""

    status: Status
    message: str = ""
    report: Report | None = None
    seconds: float = 0.0
    sources: str = "{}"


class Graders:
    """Several processes that grade, forked from one, each with a thread that looks after it.

    Args:
        settings: what all submissions have in common.
        listener: what progress is reported to.
        zygote_lines: lines to a shared zygote, one for each process. If the zygote dies, and for a process that
            replaces another, the process starts a zygote of its own.
        gpus: the GPU of each process; empty if they have none.
    """

    def __init__(
        self,
        settings: BatchSettings,
        listener: ProgressListener,
        zygote_lines: Sequence[socket.socket],
        gpus: Sequence[GPU] = (),
    ) -> None:
        self._settings = settings
        self._gpus = tuple(gpus)
        self._zygote_lines = list(zygote_lines)
        self._listener = listener
        self._waiting: queue.SimpleQueue[list[CollectedSubmission]] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[tuple[list[CollectedSubmission], GradingOutcome] | Exception] = (
            queue.SimpleQueue()
        )
        self._loaded: list[LoadedProcess] = []  # the last one is forked from; the others have died
        self._processes: dict[int, GradingProcess] = {}
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._closed = False

    def grade(
        self, waiting: Sequence[list[CollectedSubmission]], jobs: int
    ) -> Iterator[tuple[list[CollectedSubmission], GradingOutcome]]:
        """Grade the first submission of each list, and yield each list with its outcome as soon as it is known.

        Raises:
            InputError: the command was wrong.
            SystemFault: a process could not be started.
        """
        for same in waiting:
            self._waiting.put(same)
        for number in range(jobs):
            thread = threading.Thread(target=self._serve, args=(number,))
            thread.start()
            self._threads.append(thread)  # only after the start: `close` cannot join a thread that never ran
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
        for line in self._zygote_lines:
            line.close()

    def _serve(self, number: int) -> None:
        try:
            while not self._closed:
                same = self._waiting.get_nowait()
                self._ended.put((same, self._grade(number, same[0])))
                self._listener.on_step(number, "", "")
        except queue.Empty:
            pass
        except Exception as error:
            self._ended.put(error)
        finally:
            self._end(number)

    def _grade(self, number: int, submission: CollectedSubmission) -> GradingOutcome:
        outcome = GradingOutcome(Status.FAILED)
        for _ in range(_TRIES):
            process = self._process(number, submission.key)
            started = time.monotonic()
            try:
                answer = process.grade(submission, lambda text: self._listener.on_step(number, submission.key, text))
            except SystemFault as error:
                answer = GradingFault(str(error))
            if isinstance(answer, GradingFault):
                self._end(number)  # the next submission gets a process without whatever this one left behind
            outcome = replace(_to_outcome(answer), seconds=round(time.monotonic() - started, 3))
            lasts = isinstance(answer, GradingFault) and answer.lasts
            if outcome.status is not Status.FAILED or lasts or self._closed:
                break
        return outcome

    def _process(self, number: int, key: str) -> GradingProcess:
        """Return the process of a thread; fork one if it has none.

        Raises:
            InputError: the assignment is wrong.
            SystemFault: the process could not be started in three tries.
        """
        if number in self._processes:
            return self._processes[number]
        self._listener.on_step(number, key, "starting")
        for tries_left in reversed(range(_TRIES)):
            try:
                process = self._fork(number)
                process.require_ready()
                return process
            except SystemFault:
                self._end(number)
                if not tries_left or self._closed:
                    raise
        raise AssertionError

    def _fork(self, number: int) -> GradingProcess:
        with self._lock:
            self._require_open()
            if not self._loaded or self._loaded[-1].ended:
                self._loaded.append(LoadedProcess(self._settings))
            loaded, zygote_line = self._loaded[-1], self._zygote_lines.pop() if self._zygote_lines else None
        gpu = self._gpus[number] if self._gpus else None
        process = loaded.fork(zygote_line, gpu)  # without the lock, which `close` needs: loading takes seconds
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


def _to_outcome(answer: FinishedReport | GradingFault) -> GradingOutcome:
    match answer:
        case FinishedReport():
            report = Report.from_json(answer.report)
            status = Status.GRADED if report.is_readable else Status.UNREADABLE
            return GradingOutcome(status, report.obstacle, report, sources=answer.sources)
        case GradingFault():
            return GradingOutcome(Status.FAILED, answer.message)

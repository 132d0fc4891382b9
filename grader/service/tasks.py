"""The task that a message asks for: claim a grading, grade, hand in the report.

    with closing(Workplace(settings, app)) as workplace:
        workplace.grade(grading_id, "cpu")

Each step is told to the log, with ids and no names: whoever watches, or stops a worker to see what is lost, does so
there.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from celery import Celery

from grader.errors import InputError, SubmissionError, SystemFault
from grader.grading.session import GradingSession, join_reports
from grader.models.recipe import Mode
from grader.results.report import Report
from grader.service.broker import TASK
from grader.service.dispatch import enqueue
from grader.service.settings import Settings
from grader.service.store.database import Store
from grader.service.store.queries.dispatch import Queue
from grader.service.store.queries.leases import (
    Finish,
    Lease,
    claim_lease,
    finish_job,
    give_back_lease,
    refuse_job,
    release_lease,
    renew_lease,
)
from grader.service.store.schema import Stage
from grader.submission.executed_notebook import ExecutedNotebook
from grader.submission.submission import Submission, read_notebook

__all__ = ["Workplace", "add_task"]

_BEATS_OF_A_LEASE = 3
_SECONDS_BETWEEN_TRIES = 1.0
_LONGEST_MESSAGE = 4000  # characters
_HUNG = 70  # the exit code of a process that ends itself

_log = logging.getLogger("grader.service.tasks")


class Workplace:
    """What one process of a worker grades with.

    Args:
        settings: where the store is, and the bounds of leases.
        app: what the next gradings are asked for with.
    """

    def __init__(self, settings: Settings, app: Celery) -> None:
        self.grading = GradingSession(trainings_at_once=1)
        self._settings = settings
        self._app = app
        self._store = Store.open(settings)
        self._worker = f"{socket.gethostname()}-{os.getpid()}"
        self._lease: Lease | None = None  # while it is graded

    def close(self) -> None:
        """End the warm processes, and close the store."""
        self.grading.close()
        self._store.close()

    def grade(self, grading: str, queue: Queue) -> None:
        """Claim a stage of a grading, where it waits for this queue, and bring it to its end; then ask for the next.

        Args:
            grading: its id.
            queue: where it was asked for.
        """
        started = time.monotonic()
        self._tell("asked", grading=grading)
        try:
            settings = self._settings
            lease = claim_lease(self._store, grading, self._worker, settings.lease_seconds, queue, settings.attempts)
            if lease is None:
                self._tell("not waiting", grading=grading)
                return
            outcome = self._brought_to_an_end(lease)
            seconds = round(time.monotonic() - started, 3)
            self._tell("ended", lease, outcome=outcome, seconds=seconds)
            enqueue(self._store, self._app, self._settings)
        except SystemFault as fault:  # the database is away; who has a live lease then and who has not, it will know
            _log.error("the store failed: %s", fault, extra={"facts": {"grading": grading}})

    def leave(self) -> None:
        """Give back what is being graded and end this process at once; for a signal's handler."""
        if self._lease is not None:
            try:
                release_lease(self._store, self._lease, "the worker was stopped")
            except SystemFault as fault:
                _log.error("a lease was not given back, it will run out: %s", fault)
        os._exit(0)

    def _brought_to_an_end(self, lease: Lease) -> str:
        self._tell("claimed", lease)
        try:
            submission = self._submission(lease)
            with _Heartbeat(self._store, lease, self._settings, self._patience(lease)) as heartbeat:
                self._lease = lease
                try:
                    self._tell("grading", lease)
                    executed: list[ExecutedNotebook] = []
                    report = self._report(lease, submission, heartbeat.told, executed)
                    self._tell("graded", lease)
                finally:
                    self._lease = None  # `leave` must not wait for a transaction that it interrupts
                return str(self._finished(lease, report, executed))
        except SubmissionError as error:
            refuse_job(self._store, lease, str(error))
            return "refused"
        except Exception as error:  # a SystemFault, the machine's, a rubric's, a bug: the submission is not to blame
            _log.exception("a grading failed", extra={"facts": _facts(lease)})
            give_back_lease(self._store, lease, _message(error), self._settings.attempts)
            return "given back"

    def _submission(self, lease: Lease) -> Submission:
        if not lease.files:
            raise SubmissionError("no notebook was handed in")
        return Submission(tuple(read_notebook(name, self._store.blobs.get(sha256)) for name, sha256 in lease.files))

    def _patience(self, lease: Lease) -> float:
        """Return after how many seconds without a word a grading hangs."""
        return 2 * self.grading.longest_silence(lease.assignment, lease.mode, len(lease.files))

    def _report(
        self, lease: Lease, submission: Submission, progress: Callable[[str], None], executed: list[ExecutedNotebook]
    ) -> Report:
        """Grade a stage; the first one of mode full is a grading without trainings, whose items are pending then.

        Its notebooks as they were run are those that are kept; `executed` is where they go.
        """
        grading, name = self.grading, lease.assignment
        if lease.mode is not Mode.FULL:
            return grading.grade(submission, name, lease.mode, progress=progress, executed=executed.extend)
        part = self._part(lease)
        if part is None:
            part = grading.grade(submission, name, Mode.NONE, progress=progress, executed=executed.extend)
        trained = {item.id for item in grading.assignment(name).trained}
        if lease.stage is Stage.DEFINITIONS or not trained:
            return part
        trainings = grading.grade(submission, name, Mode.FULL, only=trained, progress=progress)
        if trainings.revision != part.revision:
            raise SystemFault(f"the rubric of {name} was changed while a submission was graded")
        return join_reports(part, trainings)

    def _part(self, lease: Lease) -> Report | None:
        """Return the first stage's report, None where there is none by the rubric as it is now."""
        if lease.stage is Stage.DEFINITIONS or not lease.part:
            return None
        try:
            part = Report.from_json(self._store.blobs.get(lease.part).decode())
        except InputError:  # an earlier version's
            return None
        return part if part.revision == self.grading.revision(lease.assignment) else None

    def _finished(self, lease: Lease, report: Report, executed: Sequence[ExecutedNotebook]) -> Finish:
        """Hand the report in; where the database is away, try for as long as the lease may last."""
        deadline = time.monotonic() + self._settings.lease_seconds
        while True:
            try:
                return finish_job(self._store, lease, report, executed)
            except SystemFault:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_SECONDS_BETWEEN_TRIES)

    def _tell(self, step: str, lease: Lease | None = None, **facts: Any) -> None:
        level = logging.INFO if step == "ended" else logging.DEBUG
        _log.log(level, step, extra={"facts": {**(_facts(lease) if lease else {}), **facts}})


class _Heartbeat:
    """Renews a lease while its holder lives, and ends the process where it has hung.

    A lease that was lost is not asked for again. The grading goes on all the same, and its report is refused: a sandbox
    cannot be left in the midst of it, and this is rare.
    """

    def __init__(self, store: Store, lease: Lease, settings: Settings, patience: float) -> None:
        self._store, self._lease, self._settings = store, lease, settings
        self._patience = patience
        self._heard = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> _Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def told(self, _: str) -> None:
        """Note that the grading goes on."""
        self._heard = time.monotonic()

    def _beat(self) -> None:
        held = True
        while not self._ended.wait(self._settings.lease_seconds / _BEATS_OF_A_LEASE):
            if time.monotonic() - self._heard > self._patience:
                self._give_up()
            if held:
                try:
                    held = renew_lease(self._store, self._lease, self._settings.lease_seconds)
                except SystemFault as fault:
                    _log.warning("a lease was not renewed: %s", fault, extra={"facts": _facts(self._lease)})

    def _give_up(self) -> None:
        message = f"the grading hangs: it has said nothing for {self._patience:.0f} s"
        _log.error(message, extra={"facts": _facts(self._lease)})
        try:
            give_back_lease(self._store, self._lease, message, self._settings.attempts)
        finally:
            os._exit(_HUNG)  # the only way out of a thread that hangs; the kernel ends its sandbox with it


def add_task(app: Celery, workplace: Callable[[], Workplace]) -> None:
    """Let a worker of this application answer messages.

    Args:
        app: Celery's application.
        workplace: gives this process's own.
    """

    def grade(task: Any, grading: str) -> None:
        workplace().grade(grading, task.request.delivery_info["routing_key"])

    app.task(grade, name=TASK, bind=True)


def _facts(lease: Lease) -> dict[str, Any]:
    return {"grading": lease.grading, "stage": str(lease.stage), "attempt": lease.number, "fence": lease.fence}


def _message(error: Exception) -> str:
    text = str(error) if isinstance(error, SystemFault) else f"{type(error).__name__}: {error}"
    return text[:_LONGEST_MESSAGE]

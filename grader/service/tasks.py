"""The Celery task: claim a job, grade it, store the report.

    with closing(JobRunner(settings, app)) as runner:
        runner.run(job_id, "cpu")

Each step is logged, with ids and without names. Tests watch the log, and stop a worker at a step to see what is lost.
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

from grader.errors import InputError, SystemFault
from grader.grading.session import GradingSession, join_reports
from grader.models.recipe import Mode
from grader.results.report import Report
from grader.service.broker import TASK
from grader.service.enqueue import enqueue_waiting_jobs
from grader.service.settings import Settings
from grader.service.store.database import Store
from grader.service.store.queries.leases import (
    Finish,
    Lease,
    claim_lease,
    finish_job,
    give_back_lease,
    release_lease,
    renew_lease,
)
from grader.service.store.queries.queue import Queue
from grader.service.store.schema import Stage
from grader.submission.assembly import assemble_submission
from grader.submission.executed_notebook import ExecutedNotebook
from grader.submission.submission import Submission

__all__ = ["JobRunner", "register_task"]

_RENEWALS_PER_LEASE = 3
_RETRY_SECONDS = 1.0
_LONGEST_MESSAGE = 4000  # characters
_HUNG = 70  # the exit code of a process that ends itself

_log = logging.getLogger("grader.service.tasks")


class JobRunner:
    """Runs jobs in one process of a worker, one after the other.

    Args:
        settings: where the store is, and the limits of leases.
        app: the Celery application used to enqueue the next jobs.
    """

    def __init__(self, settings: Settings, app: Celery) -> None:
        self.session = GradingSession(trainings_at_once=1)
        self._settings = settings
        self._app = app
        self._store = Store.open(settings)
        self._worker = f"{socket.gethostname()}-{os.getpid()}"
        self._lease: Lease | None = None  # of the job being graded

    def close(self) -> None:
        """End the warm processes, and close the store."""
        self.session.close()
        self._store.close()

    def run(self, job: str, queue: Queue) -> None:
        """Claim the stage of a job that waits for this queue and grade it, then enqueue the jobs that are due.

        Args:
            job: the job's id.
            queue: the queue that its message came from.
        """
        started = time.monotonic()
        self._log_step("received", grading=job)
        try:
            settings = self._settings
            lease = claim_lease(self._store, job, self._worker, settings.lease_seconds, queue, settings.attempts)
            if lease is None:
                self._log_step("not waiting", grading=job)
                return
            outcome = self._run_stage(lease)
            seconds = round(time.monotonic() - started, 3)
            self._log_step("ended", lease, outcome=outcome, seconds=seconds)
            enqueue_waiting_jobs(self._store, self._app, self._settings)
        except SystemFault as fault:  # the database is away; once it is back, its leases tell what to do
            _log.error("the store failed: %s", fault, extra={"facts": {"grading": job}})

    def release_and_exit(self) -> None:
        """Give back the job being graded and end this process at once; called by a signal handler."""
        if self._lease is not None:
            try:
                release_lease(self._store, self._lease, "the worker was stopped")
            except SystemFault as fault:
                _log.error("a lease was not given back, it will expire: %s", fault)
        os._exit(0)

    def _run_stage(self, lease: Lease) -> str:
        """Grade a stage, store how it ended, and return a word for that."""
        self._log_step("claimed", lease)
        try:
            submission = self._load_submission(lease)
            with _Heartbeat(self._store, lease, self._settings, self._compute_patience(lease, submission)) as heartbeat:
                self._lease = lease
                try:
                    self._log_step("grading", lease)
                    executed: list[ExecutedNotebook] = []
                    report = self._grade(lease, submission, heartbeat.note_progress, executed)
                    self._log_step("graded", lease)
                finally:
                    self._lease = None  # `release_and_exit` must not wait for a transaction that it interrupts
                return str(self._finish(lease, report, executed))
        except Exception as error:  # a SystemFault, the machine, a rubric, a bug: the submission is not to blame
            _log.exception("a job failed", extra={"facts": _collect_facts(lease)})
            give_back_lease(self._store, lease, _describe_error(error), self._settings.attempts)
            return "given back"

    def _load_submission(self, lease: Lease) -> Submission:
        files = ((name, self._store.blobs.get(sha256)) for name, sha256 in lease.files)
        return assemble_submission(files, lease.notices)

    def _compute_patience(self, lease: Lease, submission: Submission) -> float:
        """Return after how many seconds without progress a job counts as hung."""
        return 2 * self.session.compute_longest_silence(lease.assignment, lease.mode, len(submission.notebooks))

    def _grade(
        self, lease: Lease, submission: Submission, progress: Callable[[str], None], executed: list[ExecutedNotebook]
    ) -> Report:
        """Grade a stage.

        The first stage of mode full grades without trainings and leaves their items pending. Its executed notebooks
        are the ones to keep; they are added to `executed`.
        """
        session, name = self.session, lease.assignment
        if lease.mode is not Mode.FULL:
            return session.grade(submission, name, lease.mode, progress=progress, executed=executed.extend)
        part = self._load_part(lease)
        if part is None:
            part = session.grade(submission, name, Mode.NONE, progress=progress, executed=executed.extend)
        trained = {item.id for item in session.find_assignment(name).trained}
        if lease.stage is Stage.DEFINITIONS or not trained:
            return part
        trainings = session.grade(submission, name, Mode.FULL, only=trained, progress=progress)
        if trainings.revision != part.revision:
            raise SystemFault(f"the rubric of {name} was changed while a submission was graded")
        return join_reports(part, trainings)

    def _load_part(self, lease: Lease) -> Report | None:
        """Return the first stage's report. Return None if there is none made by the current rubric."""
        if lease.stage is Stage.DEFINITIONS or not lease.part:
            return None
        try:
            part = Report.from_json(self._store.blobs.get(lease.part).decode())
        except InputError:  # written by an earlier version
            return None
        return part if part.revision == self.session.find_revision(lease.assignment) else None

    def _finish(self, lease: Lease, report: Report, executed: Sequence[ExecutedNotebook]) -> Finish:
        """Store the report. If the database is away, retry for as long as the lease may last."""
        deadline = time.monotonic() + self._settings.lease_seconds
        while True:
            try:
                return finish_job(self._store, lease, report, executed)
            except SystemFault:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_SECONDS)

    def _log_step(self, step: str, lease: Lease | None = None, **facts: Any) -> None:
        level = logging.INFO if step == "ended" else logging.DEBUG
        _log.log(level, step, extra={"facts": {**(_collect_facts(lease) if lease else {}), **facts}})


class _Heartbeat:
    """Renews a lease while its job makes progress, and ends the process if the job hangs.

    A lost lease is not claimed again. The job runs on and its report is refused: a sandbox cannot be abandoned in the
    middle of a job, and this is rare.
    """

    def __init__(self, store: Store, lease: Lease, settings: Settings, patience: float) -> None:
        self._store, self._lease, self._settings = store, lease, settings
        self._patience = patience
        self._last_progress = time.monotonic()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> _Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._stopping.set()
        self._thread.join()

    def note_progress(self, _: str) -> None:
        """Note that the job makes progress."""
        self._last_progress = time.monotonic()

    def _beat(self) -> None:
        held = True
        while not self._stopping.wait(self._settings.lease_seconds / _RENEWALS_PER_LEASE):
            if time.monotonic() - self._last_progress > self._patience:
                self._give_up()
            if held:
                try:
                    held = renew_lease(self._store, self._lease, self._settings.lease_seconds)
                except SystemFault as fault:
                    _log.warning("a lease was not renewed: %s", fault, extra={"facts": _collect_facts(self._lease)})

    def _give_up(self) -> None:
        message = f"the job hangs: no progress for {self._patience:.0f} s"
        _log.error(message, extra={"facts": _collect_facts(self._lease)})
        try:
            give_back_lease(self._store, self._lease, message, self._settings.attempts)
        finally:
            os._exit(_HUNG)  # the only way out of a thread that hangs; the kernel ends its sandbox with it


def register_task(app: Celery, get_runner: Callable[[], JobRunner]) -> None:
    """Register the task that workers of this application run for each message.

    Args:
        app: Celery's application.
        get_runner: returns the job runner of the current process.
    """

    def grade(task: Any, job: str) -> None:
        get_runner().run(job, task.request.delivery_info["routing_key"])

    app.task(grade, name=TASK, bind=True)


def _collect_facts(lease: Lease) -> dict[str, Any]:
    return {"grading": lease.job, "stage": str(lease.stage), "attempt": lease.number, "fence": lease.fence}


def _describe_error(error: Exception) -> str:
    text = str(error) if isinstance(error, SystemFault) else f"{type(error).__name__}: {error}"
    return text[:_LONGEST_MESSAGE]

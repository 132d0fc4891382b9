"""The Celery task: claim a job, grade it, store the report.

    with closing(JobRunner(settings, app)) as runner:
        runner.run(job_id, "cpu")

Each step is logged, with ids and without names. Tests watch the log, and stop a worker at a step to see what is lost.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Any

from celery import Celery

from grader.errors import DeviceFault, InputError, LastingFault, MemoryFault, SystemFault
from grader.grading.out_of_sight import require_out_of_sight
from grader.grading.session import GradingSession, join_reports
from grader.installation_key import InstallationKey, load_installation_key
from grader.models.recipe import Mode
from grader.results.report import Report
from grader.service.broker import TASK
from grader.service.enqueue import enqueue_waiting_jobs
from grader.service.own_gpu import OwnGPU
from grader.service.settings import Settings
from grader.service.store.database import Store
from grader.service.store.queries.keys import find_current_key
from grader.service.store.queries.leases import (
    Finish,
    Lease,
    claim_lease,
    finish_job,
    give_back_lease,
    record_device_fault,
    release_lease,
    renew_lease,
)
from grader.service.store.queries.queue import QueuedJob, unmark_enqueued
from grader.service.store.schema import Stage
from grader.submission.assembly import assemble_submission
from grader.submission.executed_notebook import ExecutedNotebook
from grader.submission.submission import Submission

__all__ = ["JobRunner", "find_shared_key", "register_task"]

_RENEWALS_PER_LEASE = 3
_RETRY_SECONDS = 1.0
_LONGEST_MESSAGE = 4000  # characters
# The exit codes of processes that end themselves.
_HUNG = 70
_EXHAUSTED = 71

_log = logging.getLogger("grader.service.tasks")


class JobRunner:
    """Runs jobs in one process of a worker, one after the other.

    Args:
        settings: where the store is, and the limits of leases.
        app: the Celery application used to enqueue the next jobs.
        own_gpu: the worker's GPU; None if it has none.

    Attributes:
        exhausted: whether the last job took more memory of this process than it may, so that it should be replaced.
    """

    def __init__(self, settings: Settings, app: Celery, own_gpu: OwnGPU | None = None) -> None:
        self._settings = settings
        self._app = app
        self._own_gpu = own_gpu
        self._store = Store.open(settings)
        self._find_key = partial(find_shared_key, self._store, settings)
        self.session = GradingSession(
            trainings_at_once=1,
            find_key=self._find_key,
            unsafe=settings.unsafe,
            gpu=own_gpu.gpu if own_gpu else None,
            lends_gpu=settings.lend_gpu,
        )
        self._worker = f"{socket.gethostname()}-{os.getpid()}"
        self._lease: Lease | None = None  # of the job being graded
        self.exhausted = False

    def close(self) -> None:
        """End the warm processes, and close the store."""
        self.session.close()
        self._store.close()

    def run(self, job: str, queue: str) -> None:
        """Claim the stage of a job that waits for this queue and grade it, then enqueue the jobs that are due.

        Args:
            job: the job's id.
            queue: the queue that its message came from.
        """
        started = time.monotonic()
        self._log_step("received", grading=job)
        try:
            settings = self._settings
            if not self._is_device_well():
                unmark_enqueued(self._store, [QueuedJob(job, queue)])  # so that another worker gets it at once
                enqueue_waiting_jobs(self._store, self._app, settings)
                return
            lease = claim_lease(self._store, job, self._worker, settings.lease_seconds, queue, settings.attempts)
            if lease is None:
                self._log_step("not waiting", grading=job)
                return
            outcome = self._run_stage(lease)
            self._is_device_well()  # now, because this worker may not get another job for hours
            seconds = round(time.monotonic() - started, 3)
            self._log_step("ended", lease, outcome=outcome, seconds=seconds)
            enqueue_waiting_jobs(self._store, self._app, settings)
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

    @property
    def device_lost(self) -> bool:
        """Whether the worker's GPU has failed, so that the worker should end."""
        return self._own_gpu is not None and self._own_gpu.lost

    def _is_device_well(self) -> bool:
        """Return whether the worker's GPU, if it has one, can be used, and all of its memory.

        What is found here counts for no job: the report of the last one is stored, and the next one is not claimed.
        """
        if self._own_gpu is not None and not self._own_gpu.lost:
            try:
                self.session.require_gpu_back()
                self._own_gpu.check()
            except DeviceFault as fault:
                self._lose_device(fault)
        return not self.device_lost

    def _lose_device(self, fault: DeviceFault, lease: Lease | None = None) -> None:
        _log.error("the GPU cannot be used: %s", fault, extra={"facts": _collect_facts(lease) if lease else {}})
        if self._own_gpu is not None:
            self._own_gpu.lose()

    def _run_stage(self, lease: Lease) -> str:
        """Grade a stage, store how it ended, and return a word for that."""
        self._log_step("claimed", lease)
        self.exhausted = False
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
        except DeviceFault as fault:
            record_device_fault(self._store, lease, _describe_error(fault), self._settings.device_faults)
            self._lose_device(fault, lease)
            return "the GPU failed"
        except Exception as error:  # a SystemFault, the machine, a rubric, a bug: the submission is not to blame
            self.exhausted = isinstance(error, MemoryFault)
            # A fault that would come again ends the job at once.
            attempts = lease.number if isinstance(error, LastingFault) else self._settings.attempts
            _log.exception("a job failed", extra={"facts": _collect_facts(lease)})
            give_back_lease(self._store, lease, _describe_error(error), attempts)
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
        if (trainings.revision, trainings.key) != (part.revision, part.key):
            raise SystemFault(f"the rubric of {name} or the installation key was changed while a submission was graded")
        return join_reports(part, trainings)

    def _load_part(self, lease: Lease) -> Report | None:
        """Return the first stage's report. Return None if there is none of the current rubric and the current key."""
        if lease.stage is Stage.DEFINITIONS or not lease.part:
            return None
        try:
            part = Report.from_json(self._store.blobs.get(lease.part).decode())
        except InputError:  # written by an earlier version
            return None
        current = self.session.find_revision(lease.assignment), self._find_key().id
        return part if (part.revision, part.key) == current else None

    def _finish(self, lease: Lease, report: Report, executed: Sequence[ExecutedNotebook]) -> Finish:
        """Store the report. If the database is away, retry for as long as the lease may last."""
        deadline = time.monotonic() + self._settings.lease_seconds
        while True:
            try:
                queue = self.session.find_assignment(lease.assignment).gpu.queue
                return finish_job(self._store, lease, report, executed, queue)
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


def find_shared_key(store: Store, settings: Settings) -> InstallationKey:
    """Return the key with which all workers grade now. If there is none yet, make one.

    Raises:
        InputError: the file of the key cannot be used.
        SystemFault: the database cannot be reached.
    """
    if not settings.key_file:
        return find_current_key(store)
    key = load_installation_key({"GRADER_KEY_FILE": settings.key_file})
    require_out_of_sight(key)
    return key


def register_task(app: Celery, get_runner: Callable[[], JobRunner]) -> None:
    """Register the task that workers of this application run for each message.

    Args:
        app: Celery's application.
        get_runner: returns the job runner of the current process.
    """

    def grade(task: Any, job: str) -> None:
        runner = get_runner()
        runner.run(job, task.request.delivery_info["routing_key"])
        if runner.exhausted:
            os._exit(_EXHAUSTED)  # the worker starts a new process for the next job
        if runner.device_lost:
            os.kill(os.getppid(), signal.SIGTERM)  # before the message is acknowledged, which asks for the next one

    app.task(grade, name=TASK, bind=True)


def _collect_facts(lease: Lease) -> dict[str, Any]:
    return {"grading": lease.job, "stage": str(lease.stage), "attempt": lease.number, "fence": lease.fence}


def _describe_error(error: Exception) -> str:
    text = str(error) if isinstance(error, SystemFault) else f"{type(error).__name__}: {error}"
    return text[:_LONGEST_MESSAGE]

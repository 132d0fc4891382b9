"""`grader worker`: a Celery worker, a job runner in each of its processes, and a thread that recovers lost jobs."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import FrameType
from typing import Any

from billiard import active_children
from celery import Celery, bootsteps, signals
from celery.exceptions import CPendingDeprecationWarning

from grader.assignment import find_assignment
from grader.errors import GraderError, SystemFault
from grader.service.broker import make_broker_app
from grader.service.celery_internals import count_reserved, count_unacknowledged
from grader.service.enqueue import enqueue_waiting_jobs
from grader.service.settings import Settings
from grader.service.store.database import Store, check_migrated
from grader.service.store.queries.leases import reconcile_leases
from grader.service.tasks import JobRunner, register_task

__all__ = ["Reconciler", "run_worker"]

_SECONDS_BETWEEN_RECONCILIATIONS = 5.0
_SECONDS_BETWEEN_CHECKS = 1.0
_SECONDS_TO_RELEASE = 10.0

_log = logging.getLogger("grader.service.worker")


def run_worker(settings: Settings, queues: Sequence[str], processes: int) -> int:
    """Grade the jobs of these queues until SIGTERM, and return the exit code.

    On SIGTERM or Ctrl-C the worker takes no new job and finishes those that run. On a second one it gives them back.

    Args:
        settings: where the store and the broker are.
        queues: some of `broker.QUEUES`.
        processes: how many submissions to grade at once.

    Raises:
        InputError: an assignment or a URL is wrong, or the database is not migrated.
        SystemFault: the database cannot be reached.
    """
    names = [name.strip() for name in settings.assignments.split(",") if name.strip()]
    for name in names:
        find_assignment(name)
    store = Store.open(settings)
    try:
        check_migrated(store)
    finally:
        store.close()
    app = make_broker_app(settings)
    app.steps["worker"].add(_SecondSignal)
    app.steps["consumer"].add(_LostMessages)
    signals.setup_logging.connect(_set_up_logging)
    signals.worker_process_init.connect(_prepare_processes(app, settings, names), weak=False)
    # Celery advises against settings that `make_broker_app` chooses on purpose.
    warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)
    worker = app.Worker(
        hostname=f"grader-{os.getpid()}@{socket.gethostname()}",
        concurrency=processes,
        queues=list(queues),
        pool_cls="prefork",
        quiet=True,
        loglevel=logging.WARNING,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    with Reconciler(settings, app):
        worker.start()
    return int(worker.exitcode or 0)


class Reconciler:
    """A thread that gives back the jobs of vanished workers and enqueues waiting jobs; use as a context manager.

    Several may run at once. The thread survives a database or a broker that is away for a while.
    """

    def __init__(self, settings: Settings, app: Celery) -> None:
        self._settings = settings
        self._app = app
        self._seconds = min(_SECONDS_BETWEEN_RECONCILIATIONS, settings.lease_seconds / 2)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)
        # Celery forks at any time. A child forked in the middle of a round would inherit locks, such as SQLite's, that
        # no thread of the child ever releases.
        self._in_round = threading.Lock()
        os.register_at_fork(
            before=self._in_round.acquire,
            after_in_parent=self._in_round.release,
            after_in_child=self._in_round.release,
        )

    def __enter__(self) -> Reconciler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        store = Store.open(self._settings)
        while not self._stopping.wait(self._seconds):
            with self._in_round:
                try:
                    reconciled = reconcile_leases(store, self._settings.attempts)
                    sent = enqueue_waiting_jobs(store, self._app, self._settings)
                except SystemFault as fault:
                    _log.warning("not reconciled: %s", fault)
                except Exception:  # without this thread, the jobs of a killed worker would wait for ever
                    _log.exception("not reconciled")
                else:
                    if reconciled.given_back or reconciled.failed or sent:
                        facts = {"given_back": reconciled.given_back, "failed": reconciled.failed, "sent": sent}
                        _log.info("reconciled", extra={"facts": facts})
                store.close()  # no child may inherit a connection: SQLite would rely on locks that no child has


class _LostMessages(bootsteps.StartStopStep):  # type: ignore[misc]
    """Reconnect if Celery still counts messages whose jobs are finished.

    If an acknowledgement fails while Redis is away, Celery logs it and forgets it, but its message still counts towards
    the prefetch limit. Once there are as many of them as processes, the worker takes no more messages, and so never
    notices that its connection is gone.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._timer: Any = None
        self._suspected = False

    def start(self, consumer: Any) -> None:
        """Check at intervals, and once now: that fails at once if a part of Celery has moved."""
        self._suspected = False
        self._check(consumer)
        self._timer = consumer.timer.call_repeatedly(_SECONDS_BETWEEN_CHECKS, self._check, (consumer,))

    def stop(self, consumer: Any) -> None:
        """Stop checking."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self, consumer: Any) -> None:
        lost = count_unacknowledged(consumer) > count_reserved()
        if lost and self._suspected:  # an acknowledgement that was on its way has arrived by the next check
            raise ConnectionError("messages were not acknowledged")
        self._suspected = lost


class _SecondSignal(bootsteps.StartStopStep):  # type: ignore[misc]
    """Let a second SIGTERM or SIGINT give back the running jobs; Celery itself would ignore it."""

    def start(self, worker: Any) -> None:
        """Wrap the handler that Celery has just set for the first SIGTERM."""
        stop_taking = signal.getsignal(signal.SIGTERM)
        if not callable(stop_taking):
            raise SystemFault("this version of Celery handles no SIGTERM where a worker's steps start")
        stopping = threading.Event()

        def stop(number: int, frame: FrameType | None) -> None:
            if stopping.is_set():
                _release_and_exit()
            stopping.set()
            stop_taking(number, frame)

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)


def _release_and_exit() -> None:
    """Let every process give back the job that it grades, then exit."""
    children = [child.pid for child in active_children()]
    deadline = time.monotonic() + _SECONDS_TO_RELEASE
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)
    for child in children:
        with contextlib.suppress(ChildProcessError):
            while not os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) and time.monotonic() < deadline:
                time.sleep(0.02)
    os._exit(0)


def _prepare_processes(app: Celery, settings: Settings, assignments: Sequence[str]) -> Callable[..., None]:
    """Register the task, and return the function to call in each new process before it takes a job."""
    runners: list[JobRunner] = []  # one, in a process that was forked; none in the parent
    parent = os.getpid()

    def get_runner() -> JobRunner:
        # Set here, at each job, because Celery sets its own handlers after it started a process. Those raise SystemExit
        # wherever the process is, and within a rubric's test that would look like the student's mistake.
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, lambda *_: runners[0].release_and_exit())
        return runners[0]

    register_task(app, get_runner)

    def open_runner(**_: Any) -> None:
        if os.getppid() != parent:
            os._exit(0)  # the parent was killed before Celery could ask the kernel to end this process with it
        runners.append(JobRunner(settings, app))
        try:
            runners[0].session.warm_up(assignments)
        except GraderError as error:  # each job meets it again, and records it for staff
            _log.error("not warm: %s", error)

    return open_runner


def _set_up_logging(**_: Any) -> None:
    """Log to standard error, one JSON object a line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JSONFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("grader").setLevel(logging.INFO)


class _JSONFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "process": record.process,
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)

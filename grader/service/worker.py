"""`grader worker`: Celery's worker, a workplace for each of its processes, and a thread that finds what got lost."""

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
from celery.apps.worker import Worker
from celery.exceptions import CPendingDeprecationWarning
from celery.worker import state

from grader.assignment import find_assignment
from grader.errors import GraderError, SystemFault
from grader.service.broker import make_broker_app
from grader.service.dispatch import enqueue
from grader.service.settings import Settings
from grader.service.store.database import Store, check_migrated
from grader.service.store.queries.leases import reconcile_leases
from grader.service.tasks import Workplace, add_task

__all__ = ["Reconciler", "run_worker"]

_SECONDS_BETWEEN_RECONCILIATIONS = 5.0
_SECONDS_BETWEEN_LOOKS = 1.0
_SECONDS_TO_LEAVE = 10.0

_log = logging.getLogger("grader.service.worker")


def run_worker(settings: Settings, queues: Sequence[str], processes: int) -> int:
    """Grade what is asked for on these queues until SIGTERM, and return the exit code.

    At SIGTERM or Ctrl-C nothing new is taken, and what runs is ended; at a second one, what runs is given back.

    Args:
        settings: where the store and the broker are.
        queues: some of `broker.QUEUES`.
        processes: how many submissions are graded at once.

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
    app.steps["consumer"].add(_LostMessages)
    signals.setup_logging.connect(_log_lines)
    signals.worker_process_init.connect(_workplaces(app, settings, names), weak=False)
    # It advises what `broker_app` sets otherwise on purpose.
    warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)
    worker = _Worker(
        app=app,
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
    """A thread that gives back what workers left behind, and dispatches what waits; use as a context manager.

    Several may do this at once. It outlives a database and a broker that are away for a while.
    """

    def __init__(self, settings: Settings, app: Celery) -> None:
        self._settings = settings
        self._app = app
        self._seconds = min(_SECONDS_BETWEEN_RECONCILIATIONS, settings.lease_seconds / 2)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)
        # Celery forks whenever it wants. A child that was forked in the midst of a round would inherit locks, of
        # SQLite's for one, that nobody in it will ever release.
        self._in_a_round = threading.Lock()
        os.register_at_fork(
            before=self._in_a_round.acquire,
            after_in_parent=self._in_a_round.release,
            after_in_child=self._in_a_round.release,
        )

    def __enter__(self) -> Reconciler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        store = Store.open(self._settings)
        while not self._ended.wait(self._seconds):
            with self._in_a_round:
                try:
                    done = reconcile_leases(store, self._settings.attempts)
                    sent = enqueue(store, self._app, self._settings)
                except SystemFault as fault:
                    _log.warning("not reconciled: %s", fault)
                except Exception:  # without this thread, what a killed worker left behind would wait for ever
                    _log.exception("not reconciled")
                else:
                    if done.given_back or done.failed or sent:
                        facts = {"given_back": done.given_back, "failed": done.failed, "sent": sent}
                        _log.info("reconciled", extra={"facts": facts})
                store.close()  # a connection must not be inherited: SQLite would count on locks that no child has


class _LostMessages(bootsteps.StartStopStep):  # type: ignore[misc]
    """Connects anew where Celery still counts messages whose gradings are over.

    While Redis is away, an acknowledgement that fails is logged and forgotten, and its message goes on counting. With
    as many of them as there are processes the worker takes nothing, so it never learns that its connection is gone.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._timer: Any = None
        self._before = False

    def start(self, consumer: Any) -> None:
        """Look every few seconds."""
        self._before = False
        self._timer = consumer.timer.call_repeatedly(_SECONDS_BETWEEN_LOOKS, self._look, (consumer,))

    def stop(self, consumer: Any) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, consumer: Any) -> None:
        counted = consumer.task_consumer.channel.qos
        taken = counted.prefetch_count - (counted.can_consume_max_estimate() or 0)
        lost = taken > len(state.reserved_requests)
        if lost and self._before:  # an acknowledgement that is just on its way is there the next time
            raise ConnectionError("messages were not acknowledged")
        self._before = lost


class _Worker(Worker):  # type: ignore[misc]
    """Celery's worker, which answers a second SIGTERM."""

    def install_platform_tweaks(self, worker: Worker) -> None:
        """Answer signals."""
        super().install_platform_tweaks(worker)
        stop_taking = signal.getsignal(signal.SIGTERM)
        assert callable(stop_taking)
        told = threading.Event()

        def stop(number: int, frame: FrameType | None) -> None:
            if told.is_set():
                _leave()
            told.set()
            stop_taking(number, frame)

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)


def _leave() -> None:
    """Have every process give back what it grades, and end."""
    children = [child.pid for child in active_children()]
    deadline = time.monotonic() + _SECONDS_TO_LEAVE
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)
    for child in children:
        with contextlib.suppress(ChildProcessError):
            while not os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) and time.monotonic() < deadline:
                time.sleep(0.02)
    os._exit(0)


def _workplaces(app: Celery, settings: Settings, assignments: Sequence[str]) -> Callable[..., None]:
    """Add the task, and return what is to be called in each new process before it takes one."""
    places: list[Workplace] = []  # of this process: one, once it was forked
    parent = os.getpid()

    def workplace() -> Workplace:
        # Here, because Celery sets its own when it has started a process: that raises SystemExit wherever the process
        # is, and in the midst of a rubric's test it would be taken for a student's mistake.
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, lambda *_: places[0].leave())
        return places[0]

    add_task(app, workplace)

    def open_workplace(**_: Any) -> None:
        if os.getppid() != parent:
            os._exit(0)  # killed before Celery could ask the kernel to end this process with it
        places.append(Workplace(settings, app))
        try:
            places[0].grading.warm_up(assignments)
        except GraderError as error:  # each grading will meet it again, and say so where it is looked for
            _log.error("not warm: %s", error)

    return open_workplace


def _log_lines(**_: Any) -> None:
    """Log to standard error, one JSON object a line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("grader").setLevel(logging.INFO)


class _Line(logging.Formatter):
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

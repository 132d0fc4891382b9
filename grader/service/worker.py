"""`grader worker`: a Celery worker, a job runner in each of its processes, and a thread that recovers lost jobs."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from billiard import active_children
from celery import Celery, bootsteps, signals
from celery.exceptions import CPendingDeprecationWarning

from grader.assignment import find_assignment
from grader.errors import DeviceFault, GraderError, SystemFault
from grader.gpu.access import find_access
from grader.gpu.device import DeviceAccess
from grader.sandbox.host.required_layers import describe_missing, require_layers
from grader.sandbox.host.sandbox import Zygote
from grader.sandbox.protocol.limits import Limits
from grader.service.broker import make_broker_app
from grader.service.celery_internals import count_reserved, count_unacknowledged, guard_queues
from grader.service.enqueue import enqueue_waiting_jobs
from grader.service.foreign_messages import LONGEST_MESSAGE, read_message
from grader.service.json_log import log_as_json
from grader.service.own_gpu import DEVICE_LOST, OwnGPU, hold_own_gpu
from grader.service.queues import needs_gpu
from grader.service.settings import Settings
from grader.service.store.database import Store, check_migrated
from grader.service.store.queries.leases import reconcile_leases
from grader.service.tasks import JobRunner, find_shared_key, register_task

__all__ = ["Reconciler", "check_settings", "run_worker"]

_SECONDS_BETWEEN_RECONCILIATIONS = 5.0
_SECONDS_BETWEEN_CHECKS = 1.0
_SECONDS_TO_RELEASE = 10.0

_log = logging.getLogger("grader.service.worker")


def run_worker(settings: Settings, queues: Sequence[str], processes: int) -> int:
    """Grade the jobs of these queues until SIGTERM, and return the exit code.

    On SIGTERM or Ctrl-C the worker takes no new job and finishes those that run. On a second one it gives them back. If
    its GPU fails, it gives back the job that it grades, and ends with the exit code `DEVICE_LOST`.

    Args:
        settings: where the store and the broker are.
        queues: names of queues.
        processes: how many submissions to grade at once; one if there is a GPU.

    Raises:
        InputError: an assignment or a URL is wrong, the database is not migrated, the key file cannot be used, the
            sandbox lacks a required layer on this machine, or the GPU cannot be chosen.
        SystemFault: the database cannot be reached.
    """
    names = check_settings(settings)
    log_as_json({})
    try:
        with hold_own_gpu(queues, processes) as own_gpu:
            facts = {"device": own_gpu.gpu.uuid} if own_gpu else {}
            log_as_json(facts)
            if own_gpu:
                own_gpu.check()
            elif any(map(needs_gpu, queues)):
                _log.warning("this worker has no GPU: it trains on the CPU")
            lent = own_gpu and settings.lend_gpu and _use_gpu_in_cells(names)
            _check_layers(settings, find_access(own_gpu.gpu) if own_gpu and lent else None)
            code = _run_celery(settings, names, queues, processes, own_gpu, facts)
            return DEVICE_LOST if own_gpu and own_gpu.lost else code
    except DeviceFault as fault:
        _log.error("the GPU cannot be used: %s", fault)
        return DEVICE_LOST


def check_settings(settings: Settings) -> list[str]:
    """Make sure that a worker with these settings can start, and return the names of its assignments.

    Raises:
        InputError: an assignment or a URL is wrong, the database is not migrated, or the key file cannot be used.
        SystemFault: the database cannot be reached.
    """
    names = [name.strip() for name in settings.assignments.split(",") if name.strip()]
    for name in names:
        find_assignment(name)
    store = Store.open(settings)
    try:
        check_migrated(store)
        find_shared_key(store, settings)
    finally:
        store.close()
    return names


def _run_celery(
    settings: Settings,
    assignments: Sequence[str],
    queues: Sequence[str],
    processes: int,
    own_gpu: OwnGPU | None,
    facts: dict[str, str],
) -> int:
    app = make_broker_app(settings, queues)
    guard_queues(read_message, LONGEST_MESSAGE)
    app.steps["worker"].add(_SecondSignal)
    app.steps["consumer"].add(_LostMessages)
    signals.setup_logging.connect(lambda **_: log_as_json(facts), weak=False)
    prepare = _prepare_processes(app, settings, assignments, own_gpu)
    signals.worker_process_init.connect(prepare, weak=False)
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


def _use_gpu_in_cells(assignments: Sequence[str]) -> bool:
    return any(find_assignment(name).gpu.notebooks for name in assignments)


def _check_layers(settings: Settings, device: DeviceAccess | None) -> None:
    """Make sure that this machine isolates submissions, and log which layers do not hold.

    Args:
        settings: which layers may be missing.
        device: the GPU that cells may use; None if they use none.

    Raises:
        InputError: a required layer does not hold, and the settings do not accept that.
    """
    folders = device.library_folders if device else ()
    with Zygote((), library_folders=folders) as warm, warm.sandbox(Limits(), device=device) as sandbox:
        if not settings.unsafe:
            require_layers(sandbox.layers)
        if off := [layer.name for layer in sandbox.layers if not layer.on]:
            about = describe_missing(sandbox.layers) or "the layers that bound a submission are not all there"
            _log.warning("grading without layers of the sandbox: %s", about, extra={"facts": {"missing": off}})


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


def _prepare_processes(
    app: Celery, settings: Settings, assignments: Sequence[str], own_gpu: OwnGPU | None
) -> Callable[..., None]:
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
        runners.append(JobRunner(settings, app, own_gpu))
        try:
            runners[0].session.warm_up(assignments)
        except GraderError as error:  # each job meets it again, and records it for staff
            _log.error("not warm: %s", error)

    return open_runner

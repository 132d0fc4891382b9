"""`grader worker --devices`: one worker for each GPU or slice, started, watched and stopped by this process.

A worker that dies is started again. One whose GPU fails is not: the GPU is out of the pool until the driver says that
it is well, and the others go on.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from grader.errors import GraderError, InputError
from grader.gpu.device import GPU
from grader.gpu.driver import Driver
from grader.gpu.health import check_health
from grader.gpu.memory import TOLERANCE_BYTES
from grader.sandbox.jail.linux import die_with_parent
from grader.service.own_gpu import DEVICE_LOST
from grader.service.queues import needs_gpu

__all__ = ["DevicePool", "Pauses", "require_gpu_queues"]

_WRONG_INPUT, _SYSTEM_FAULT = 2, 3  # exit codes of every command

_STOP = {signal.SIGTERM, signal.SIGINT}
_SIGNALS = {*_STOP, signal.SIGHUP, signal.SIGCHLD}
_MOST_DEATHS = 6  # in a row, after which a GPU that is not well is out of the pool
_LONGEST_WAIT = 3600.0  # for a signal, where nothing is due

_log = logging.getLogger("grader.service.pool")


@dataclass(frozen=True)
class Pauses:
    """How many seconds to wait before a worker is started again. The pauses double as it goes on failing.

    Attributes:
        restart: after a worker died.
        longest_restart: the longest of those.
        retry: after a GPU left the pool.
        longest_retry: the longest of those.
        steady: a worker that ran for this long counts as one that had not failed before.
    """

    restart: float = 1.0
    longest_restart: float = 300.0
    retry: float = 600.0
    longest_retry: float = 7200.0
    steady: float = 1800.0


@dataclass
class _Place:
    """A GPU, its worker, and how often that has failed in a row."""

    gpu: GPU
    idle_bytes: int  # of its memory, before it had a worker
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    due: float = 0.0  # when to start a worker, or to look whether the GPU is well
    deaths: int = 0
    losses: int = 0
    out: bool = False  # of the pool
    refused: bool = False  # whether its worker ended because a setting is wrong

    @property
    def facts(self) -> dict[str, str]:
        return {"device": self.gpu.uuid}


class DevicePool:
    """Keeps a worker running on each of some GPUs.

    Args:
        driver: the driver of the GPUs.
        gpus: the GPUs and slices; at least one.
        command: the command and arguments of a worker, which uses the GPU that CUDA_VISIBLE_DEVICES names.
        pauses: how long to wait before a worker is started again.
    """

    def __init__(
        self, driver: Driver, gpus: Sequence[GPU], command: Sequence[str], pauses: Pauses | None = None
    ) -> None:
        self._driver = driver
        self._command = list(command)
        self._pauses = pauses or Pauses()
        self._places = [_Place(gpu, driver.used_memory(gpu)) for gpu in gpus]
        self._stopping = False

    def run(self) -> int:
        """Run until the first SIGTERM or SIGINT and the end of all workers, and return the exit code.

        The first signal lets each worker finish its job, a second one lets it give the job back. SIGHUP tries the GPUs
        that are out of the pool at once.

        Returns:
            0 after a signal, 3 if no GPU is left in the pool, 2 if every worker says that a setting is wrong.
        """
        earlier = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        for problem in self._driver.list_problems():
            _log.warning("not in the pool: %s", problem)
        try:
            while True:
                self._reap()
                if self._stopping:
                    if not any(place.process for place in self._places):
                        return 0
                elif all(place.out for place in self._places):
                    return self._give_up()
                else:
                    self._start_due()
                self._wait()
        finally:
            self._kill()
            signal.pthread_sigmask(signal.SIG_SETMASK, earlier)

    def _wait(self) -> None:
        """Wait for a signal, or until something is due."""
        due = [place.due for place in self._places if place.process is None and not self._stopping]
        seconds = min([_LONGEST_WAIT, *(max(0.0, moment - time.monotonic()) for moment in due)])
        received = signal.sigtimedwait(_SIGNALS, seconds)
        if received is None or received.si_signo == signal.SIGCHLD:
            return
        if received.si_signo == signal.SIGHUP:
            for place in self._places:
                if place.out:
                    place.due = 0.0
            return
        _log.info("stopping: each worker %s", "gives its job back" if self._stopping else "finishes its job")
        self._stopping = True
        for place in self._places:
            if place.process is not None:
                place.process.send_signal(signal.SIGTERM)

    def _start_due(self) -> None:
        now = time.monotonic()
        for place in self._places:
            if place.process is not None or place.due > now:
                continue
            if (place.out or place.deaths) and not self._is_well(place):
                self._put_off(place)
                continue
            self._start(place)

    def _start(self, place: _Place) -> None:
        parent = os.getpid()

        def prepare() -> None:  # in the child, before the command
            die_with_parent()
            if os.getppid() != parent:
                os._exit(0)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

        # In a session of its own, since Ctrl-C and a lost terminal reach all processes of one: this process passes on
        # what a worker is to know of.
        place.process = subprocess.Popen(
            self._command,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": place.gpu.uuid},
            start_new_session=True,
            preexec_fn=prepare,
        )
        place.started = time.monotonic()
        place.out = False
        _log.info("started a worker", extra={"facts": {**place.facts, "worker": place.process.pid}})

    def _reap(self) -> None:
        """Note which workers have ended, and when to start them again."""
        for place in self._places:
            if place.process is None or (code := place.process.poll()) is None:
                continue
            place.process = None
            if self._stopping:
                continue
            now = time.monotonic()
            if now - place.started > self._pauses.steady:
                place.deaths = place.losses = 0
            if code in (DEVICE_LOST, _WRONG_INPUT):
                self._take_out(place, code)
                continue
            seconds = _double(self._pauses.restart, place.deaths, self._pauses.longest_restart)
            place.deaths += 1
            place.due = now + seconds
            _log.warning(
                "a worker ended with exit code %d; it is started again in %.0f s",
                code,
                seconds,
                extra={"facts": place.facts},
            )

    def _take_out(self, place: _Place, code: int) -> None:
        place.out, place.refused = True, code == _WRONG_INPUT
        seconds = self._compute_retry(place)
        place.due = time.monotonic() + seconds
        reason = (
            "its worker cannot start, and has said why: mend that"
            if place.refused
            else "it failed: look at nvidia-smi -q and dmesg, and reset it (nvidia-smi --gpu-reset) or restart the host"
        )
        _log.error(
            "the GPU %s (%s) is out of the pool: %s. It is tried again in %.0f s if the driver says that it is well, "
            "or at once after SIGHUP to process %d",
            place.gpu.uuid,
            place.gpu.name,
            reason,
            seconds,
            os.getpid(),
            extra={"facts": place.facts},
        )

    def _put_off(self, place: _Place) -> None:
        """Start no worker yet. What a worker that died had on its GPU may take a while to be cleared away."""
        if place.deaths >= _MOST_DEATHS:
            place.out = True
        if place.out:
            seconds = self._compute_retry(place)
        else:
            seconds = _double(self._pauses.restart, place.deaths, self._pauses.longest_restart)
            place.deaths += 1
        place.due = time.monotonic() + seconds

    def _compute_retry(self, place: _Place) -> float:
        seconds = _double(self._pauses.retry, place.losses, self._pauses.longest_retry)
        place.losses += 1
        return seconds

    def _is_well(self, place: _Place) -> bool:
        """Return whether the driver answers for a GPU, has no fault of it, and its memory is free."""
        try:
            check_health(self._driver, place.gpu)
            used = self._driver.used_memory(place.gpu) - place.idle_bytes
        except GraderError as error:
            _log.warning("no worker is started on a GPU: %s", error, extra={"facts": place.facts})
            return False
        if used > TOLERANCE_BYTES:
            reason = f"{used / 2**20:.0f} MiB more of its memory are in use than when the pool started"
            _log.warning("no worker is started on a GPU: %s", reason, extra={"facts": place.facts})
            return False
        return True

    def _give_up(self) -> int:
        if all(place.refused for place in self._places):
            _log.error("no worker can start")
            return _WRONG_INPUT
        _log.error("no GPU is left in the pool")
        return _SYSTEM_FAULT

    def _kill(self) -> None:
        """End the workers that are left if this process fails itself."""
        for place in self._places:
            if place.process is not None:
                with suppress(OSError):
                    place.process.kill()
                place.process.wait()


def _double(seconds: float, times: int, longest: float) -> float:
    return min(seconds * 2.0 ** min(times, 64), longest)


def require_gpu_queues(queues: Sequence[str]) -> None:
    """Make sure that all jobs of some queues are graded on a GPU.

    Raises:
        InputError: those of one are not.
    """
    for queue in queues:
        if not needs_gpu(queue):
            raise InputError(f"the queue {queue} uses no GPU: give --devices with --queue gpu only")

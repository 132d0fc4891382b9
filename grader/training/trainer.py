"""Trains graphs in processes of its own: no Python code of a student's runs there, so none can raise the accuracy."""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import torch

from grader.errors import SystemFault
from grader.models.recipe import Mode
from grader.sandbox.protocol.channels import Channel
from grader.sandbox.protocol.encoding import Closed, Malformed
from grader.sandbox.protocol.messages import pack_message, unpack_message
from grader.training.cache import ResultCache, TrainingJob, TrainingResult
from grader.training.cost import count_teraflops
from grader.training.datasets import DataSet, find_data_set
from grader.training.devices import choose_concurrency, choose_device
from grader.training.messages import TRAINING_ANSWERS, TrainingDone, TrainingRequest

__all__ = ["SECONDS_UNTIL_GIVEN_UP", "Trainer", "offer_trainer"]

_TRIES = 3  # of a job whose process breaks
_LONGEST_SILENCE = 600.0  # seconds, after which a process that sends nothing is broken
SECONDS_UNTIL_GIVEN_UP = _TRIES * _LONGEST_SILENCE  # `train` may report no progress for this long
_SHOWN_LOG = 4000  # bytes


class Trainer:
    """Runs training jobs on one device; use as a context manager.

    Args:
        data_set: what models are trained and judged on.
        folder: the folder of the data set, if one was named.
        results: the cache of results; None for the one of this data set and device.
        at_once: how many processes train at once; None for as many as the device can take.

    Attributes:
        trained: the number of jobs that were run, because the cache had no result for them.
    """

    def __init__(
        self,
        data_set: DataSet,
        folder: Path | None = None,
        results: ResultCache | None = None,
        at_once: int | None = None,
    ) -> None:
        self.data_set = data_set
        self.device = choose_device()
        self.trained = 0
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"
        self._results = results or ResultCache(data_set.sha256, name)
        self._folder = folder
        self._free: queue.SimpleQueue[_TrainerProcess] = queue.SimpleQueue()
        self._processes: list[_TrainerProcess] = []
        self._lock = threading.Lock()
        self._closed = False
        self._at_once = at_once or choose_concurrency(self.device)

    def __enter__(self) -> Trainer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes."""
        self._closed = True
        for process in self._processes:
            process.close()

    def train(
        self, chains: Mapping[str, Sequence[TrainingJob]], progress: Callable[[str], None] = lambda _: None
    ) -> dict[str, list[TrainingResult]]:
        """Run each chain's jobs in order until one reaches its threshold. Several chains run at once.

        Args:
            chains: by name (an item's id) the jobs to try, in order.
            progress: called with a few words on what is trained and how long it takes.

        Returns:
            By name the results of the jobs that were run. The last one decides.

        Raises:
            SystemFault: the processes of a job broke three times.
        """
        longest_first = sorted(chains, key=lambda name: -sum(_cost(job) for job in chains[name][:1]))
        shown = _Progress(progress)
        with ThreadPoolExecutor(self._at_once) as threads:
            futures = {name: threads.submit(self._run_chain, name, chains[name], shown) for name in longest_first}
            try:
                return {name: futures[name].result() for name in chains}
            except BaseException:  # also Ctrl-C: do not wait for what is still training
                self.close()
                threads.shutdown(cancel_futures=True)
                raise

    def _run_chain(self, name: str, jobs: Sequence[TrainingJob], shown: _Progress) -> list[TrainingResult]:
        results: list[TrainingResult] = []
        for job in jobs:
            results.append(self._run(name, job, shown))
            if results[-1].accuracy >= job.recipe.threshold:
                break
        shown.finish(name)
        return results

    def _run(self, name: str, job: TrainingJob, shown: _Progress) -> TrainingResult:
        """Return the result of a job from the cache, or train and cache it."""
        cached = self._results.get(job)
        if cached is not None:
            return cached
        with self._results.lock(job):
            cached = self._results.get(job)
            if cached is not None:
                return cached
            result = self._train(job, lambda share: shown.update(name, job, share))
            with self._lock:
                self.trained += 1
            self._results.put(job, result)
            return result

    def _train(self, job: TrainingJob, progress: Callable[[float], None]) -> TrainingResult:
        """Train in a free process. If it breaks, try another: memory that another program took may be free again."""
        request = TrainingRequest(
            graph=job.graph.to_json(),
            recipe=job.recipe,
            seed=job.seed,
            device=str(self.device),
            data_set=self.data_set.name,
            data_folder=self._folder,
            data_sha256=self.data_set.sha256,
        )
        for tries_left in reversed(range(_TRIES)):
            process = self._free_process()
            try:
                result = process.train(request, progress)
            except SystemFault:
                if not tries_left or self._closed:
                    raise
                continue
            self._free.put(process)
            return result
        raise AssertionError

    def _free_process(self) -> _TrainerProcess:
        """Return a process that has nothing to do; start one if all are busy."""
        if self._closed:
            raise SystemFault("the trainer is closed")
        try:
            return self._free.get_nowait()
        except queue.Empty:
            process = _TrainerProcess()
            with self._lock:
                self._processes.append(process)
            return process


@contextmanager
def offer_trainer(mode: Mode, folder: Path | None = None) -> Iterator[Trainer | None]:
    """Yield a trainer, or None if nothing is trained in this mode or the data set is missing.

    Args:
        mode: what is done with trainings.
        folder: where Fashion-MNIST must be; None to look for it.

    Raises:
        InputError: it is not in that folder.
    """
    data_set = None if mode is Mode.NONE else find_data_set(folder=folder)
    if data_set is None:
        yield None
        return
    with Trainer(data_set, folder) as trainer:
        yield trainer


class _TrainerProcess:
    """The trusted end of `trainer_process.py`."""

    def __init__(self) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        line, peer = socket.socketpair()
        self._line = Channel(line)
        with peer:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "grader.training.trainer_process", str(peer.fileno())],
                pass_fds=[peer.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                start_new_session=True,  # Ctrl-C reaches only the command, which then ends this process
            )

    def train(self, request: TrainingRequest, progress: Callable[[float], None]) -> TrainingResult:
        """Train a graph and return the result; `progress` is called with the share that is done.

        Raises:
            SystemFault: the process broke, or sent nothing for ten minutes.
        """
        try:
            self._line.send(pack_message(request), _LONGEST_SILENCE)
            while True:
                message = unpack_message(self._line.receive(_LONGEST_SILENCE), *TRAINING_ANSWERS)
                if isinstance(message, TrainingDone):
                    return message.result
                progress(message.share)
        except (Closed, Malformed, TimeoutError) as error:
            self._process.kill()
            raise SystemFault(f"the process that trains broke ({error}):\n{self._read_log()}") from None

    def _read_log(self) -> str:
        """Return the end of what the process, which has ended, wrote."""
        self._process.wait(10)
        self._log.seek(0)
        return self._log.read()[-_SHOWN_LOG:].decode(errors="replace")

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        self._line.close()
        self._log.close()


class _Progress:
    """Describes several running trainings in one line."""

    def __init__(self, progress: Callable[[str], None]) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._running: dict[str, tuple[float, float, int]] = {}

    def update(self, name: str, job: TrainingJob, share: float) -> None:
        """Note the share of a job that is done."""
        with self._lock:
            started, _, seed = self._running.get(name, (time.monotonic(), 0.0, job.seed))
            if seed != job.seed:
                started = time.monotonic()
            self._running[name] = (started, share, job.seed)
            self._show()

    def finish(self, name: str) -> None:
        """Note the end of a chain."""
        with self._lock:
            self._running.pop(name, None)
            self._show()

    def _show(self) -> None:
        now = time.monotonic()
        parts, left = [], 0.0
        for name, (started, share, seed) in self._running.items():
            number = f" of try {seed + 1}" if seed else ""
            parts.append(f"{name} {share:.0%}{number}")
            if share:
                left = max(left, (now - started) * (1 - share) / share)
        if parts:
            self._progress(f"training: {', '.join(parts)}, about {left:.0f} s left")


def _cost(job: TrainingJob) -> float:
    return count_teraflops(job.graph, job.recipe)

"""Trains graphs in processes of its own: no Python code of a student's runs there, so none can raise the accuracy."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from grader.errors import DeviceFault, SystemFault
from grader.gpu.device import GPU
from grader.gpu.driver import Driver
from grader.gpu.health import check_health
from grader.gpu.nvml import open_driver
from grader.models.recipe import Mode
from grader.sandbox.protocol.limits import Limits
from grader.training.accelerator import AcceleratorVersions
from grader.training.cache import ResultCache, TrainingJob, TrainingResult
from grader.training.cost import count_teraflops, is_small, largest_estimate, limit_of_memory
from grader.training.datasets import DataSet, find_data_set
from grader.training.device_room import DeviceRoom
from grader.training.devices import choose_concurrency, find_gpu
from grader.training.messages import TrainingRequest
from grader.training.trainer_line import (
    LONGEST_SILENCE,
    TRAINER_COMMAND,
    OutOfDeviceMemory,
    ProcessBroke,
    TrainerLine,
)
from grader.training.training_progress import RunningTrainings

__all__ = ["SECONDS_UNTIL_GIVEN_UP", "Trainer", "offer_trainer"]

_TRIES = 3  # of a job whose process breaks
SECONDS_UNTIL_GIVEN_UP = _TRIES * LONGEST_SILENCE  # `train` may report no progress for this long
_CONTEXT = 2**30  # bytes on a GPU that CUDA's context and its libraries take for each process


class Trainer:
    """Runs training jobs on one device; use as a context manager.

    Args:
        data_set: what models are trained and judged on.
        folder: the folder of the data set, if one was named.
        results: the cache of results; None for the one of this data set and device.
        at_once: how many processes train at once; None for as many as the device can take.
        gpu: the GPU to train on, which nothing else uses meanwhile; None for the CPU.
        driver: is asked whether the GPU is well; None for this machine's.
        command: starts a process that trains.
        silence: seconds, after which a process is broken if it sends nothing.

    Attributes:
        trained: the number of jobs that were run, because the cache had no result for them.
        seconds: how long all calls of `train` took.
    """

    def __init__(
        self,
        data_set: DataSet,
        folder: Path | None = None,
        results: ResultCache | None = None,
        at_once: int | None = None,
        *,
        gpu: GPU | None = None,
        driver: Driver | None = None,
        command: Sequence[str] = TRAINER_COMMAND,
        silence: float = LONGEST_SILENCE,
    ) -> None:
        self.data_set, self.folder, self.gpu = data_set, folder, gpu
        self.trained = 0
        self.seconds = 0.0
        self._driver = driver or (open_driver() if gpu else None)
        self._command, self._silence = command, silence
        self._known_results = results
        self._versions: AcceleratorVersions | None = None
        self._free: queue.SimpleQueue[TrainerLine] = queue.SimpleQueue()
        self._processes: list[TrainerLine] = []
        self._lock = threading.RLock()
        self._closed = False
        self._fault: DeviceFault | None = None
        self._at_once = at_once or choose_concurrency(gpu)
        self._room = DeviceRoom(self._at_once, gpu.memory_bytes if gpu else 0)

    def __enter__(self) -> Trainer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def device_name(self) -> str:
        """ "cpu", or the GPU's kind."""
        return self.gpu.name if self.gpu else "cpu"

    def close(self) -> None:
        """End the processes."""
        self._closed = True
        for process in self._processes:
            process.close()

    def release(self) -> None:
        """Give all memory of a GPU back, between calls of `train`: the processes end, and new ones start when needed.

        On a CPU they stay: they take nothing that others need.
        """
        if self.gpu is not None:
            self._end_free_processes()

    def describe(self) -> AcceleratorVersions | None:
        """Return what decides numbers on the GPU, as a process of ours sees it. Return None without a GPU.

        Raises:
            DeviceFault: the GPU failed.
            SystemFault: the process broke.
        """
        with self._lock:
            if self.gpu is not None and self._versions is None:
                process = self._take_process()
                with self._note_device_fault():
                    self._versions = process.describe()
                self._free.put(process)
            return self._versions

    def bound(self, limits: Limits) -> tuple[float, int]:
        """Return what one training may cost on this device: 10**12 operations, and estimated bytes.

        Both follow from the limits and from what the GPU has in all, never from what is free at the moment.
        """
        if self.gpu is None:
            return limits.training_teraflops, limits.training_memory_bytes
        memory = largest_estimate(self.gpu.memory_bytes - _CONTEXT)
        return limits.training_teraflops_on_gpu, min(limits.training_memory_bytes_on_gpu, memory)

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
            DeviceFault: the GPU failed, does not answer or has vanished. The trainer is closed.
            SystemFault: the processes of a job broke three times, or the GPU has too little memory even for it alone.
        """
        longest_first = sorted(chains, key=lambda name: -sum(_cost(job) for job in chains[name][:1]))
        shown = RunningTrainings(progress)
        started = time.monotonic()
        with ThreadPoolExecutor(self._at_once) as threads:
            futures = {name: threads.submit(self._run_chain, name, chains[name], shown) for name in longest_first}
            try:
                return {name: futures[name].result() for name in chains}
            except BaseException:  # also Ctrl-C: do not wait for what is still training
                self.close()
                threads.shutdown(cancel_futures=True)
                if self._fault is not None:  # whatever it made fail first
                    raise self._fault from None
                raise
            finally:
                self.seconds += time.monotonic() - started

    def _run_chain(self, name: str, jobs: Sequence[TrainingJob], shown: RunningTrainings) -> list[TrainingResult]:
        results: list[TrainingResult] = []
        for job in jobs:
            results.append(self._run(name, job, shown))
            if results[-1].accuracy >= job.recipe.threshold:
                break
        shown.finish(name)
        return results

    def _run(self, name: str, job: TrainingJob, shown: RunningTrainings) -> TrainingResult:
        """Return the result of a job from the cache, or train and cache it."""
        results = self._find_results()
        cached = results.get(job)
        if cached is not None:
            return cached
        with results.lock(job):
            cached = results.get(job)
            if cached is not None:
                return cached
            result = self._train(job, lambda share: shown.update(name, job, share))
            with self._lock:
                self.trained += 1
            results.put(job, result)
            return result

    def _find_results(self) -> ResultCache:
        with self._lock:
            if self._known_results is None:
                self._known_results = ResultCache(self.data_set.sha256, self.describe() or "cpu")
            return self._known_results

    def _train(self, job: TrainingJob, progress: Callable[[float], None]) -> TrainingResult:
        """Train as soon as there is room. If memory runs out all the same, train again with nothing beside it."""
        seats, memory = 1, 0
        if self.gpu is not None:
            seats = 1 if is_small(job.graph, job.recipe) else self._room.seats
            memory = limit_of_memory(job.graph, job.recipe) + _CONTEXT
        try:
            with self._room.take(seats, memory):
                return self._try(job, progress, alone=False)
        except OutOfDeviceMemory:
            pass
        with self._room.take(self._room.seats, self._room.memory):
            self._end_free_processes()
            try:
                return self._try(job, progress, alone=True)
            except OutOfDeviceMemory as error:
                raise SystemFault(f"the GPU has too little memory for a training that runs alone: {error}") from None

    def _try(self, job: TrainingJob, progress: Callable[[float], None], alone: bool) -> TrainingResult:
        """Train in a free process. If it breaks, try another: memory that another program took may be free again."""
        request = TrainingRequest(
            graph=job.graph.to_json(),
            recipe=job.recipe,
            seed=job.seed,
            alone=alone,
            data_set=self.data_set.name,
            data_folder=self.folder,
            data_sha256=self.data_set.sha256,
        )
        for tries_left in reversed(range(_TRIES)):
            process = self._take_process()
            with self._note_device_fault():
                try:
                    result = process.train(request, progress)
                except OutOfDeviceMemory:
                    process.close()
                    raise
                except DeviceFault:
                    raise
                except SystemFault as fault:
                    self._check_device()
                    if not isinstance(fault, ProcessBroke) or self._closed:
                        raise
                    if tries_left:
                        continue
                    if self.gpu is None:
                        raise
                    raise DeviceFault(f"{self.gpu.name} may be broken: {fault}") from None
                self._check_device()  # a result is worth nothing if the GPU failed meanwhile
            self._free.put(process)
            return result
        raise AssertionError

    def _check_device(self) -> None:
        """Raise a DeviceFault if the driver has noticed one."""
        if self.gpu is not None and self._driver is not None:
            check_health(self._driver, self.gpu)

    @contextmanager
    def _note_device_fault(self) -> Iterator[None]:
        """End everything at once if the body raises a DeviceFault."""
        try:
            yield
        except DeviceFault as fault:
            self._fault = self._fault or fault
            self.close()
            raise

    def _take_process(self) -> TrainerLine:
        """Return a process that has nothing to do; start one if all are busy."""
        if self._closed:
            raise SystemFault("the trainer is closed")
        try:
            return self._free.get_nowait()
        except queue.Empty:
            process = TrainerLine(self.gpu, self._command, self._silence)
            with self._lock:
                self._processes.append(process)
            return process

    def _end_free_processes(self) -> None:
        while True:
            try:
                process = self._free.get_nowait()
            except queue.Empty:
                return
            process.close()
            with self._lock:
                self._processes.remove(process)


@contextmanager
def offer_trainer(mode: Mode, folder: Path | None = None, gpu: GPU | None = None) -> Iterator[Trainer | None]:
    """Yield a trainer, or None if nothing is trained in this mode or the data set is missing.

    The book's recipes are trained on this process's GPU if it has one, the others always on the CPU, for which they
    are made: so they give the same numbers everywhere.

    Args:
        mode: what is done with trainings.
        folder: where Fashion-MNIST must be; None to look for it.
        gpu: the GPU that was chosen; None to look for one.

    Raises:
        InputError: it is not in that folder; or there are several GPUs, and no choice among them.
    """
    data_set = None if mode is Mode.NONE else find_data_set(folder=folder)
    if data_set is None:
        yield None
        return
    with Trainer(data_set, folder, gpu=(gpu or find_gpu()) if mode is Mode.FULL else None) as trainer:
        yield trainer


def _cost(job: TrainingJob) -> float:
    return count_teraflops(job.graph, job.recipe)

"""Trains graphs in processes of its own: nothing that a student's Python does can raise what comes of it."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from grader.errors import SystemFault
from grader.models.recipe import Mode
from grader.training.cache import ResultCache, TrainingJob, TrainingResult, decode_result
from grader.training.cost import count_teraflops
from grader.training.datasets import DataSet, find_data_set
from grader.training.devices import choose_concurrency, choose_device

__all__ = ["SECONDS_UNTIL_GIVEN_UP", "Trainer", "offer_trainer"]

_TRIES = 3  # of a process that breaks
_SECONDS_OF_SILENCE = 600  # a worker that says nothing for so long is broken
SECONDS_UNTIL_GIVEN_UP = _TRIES * _SECONDS_OF_SILENCE  # whoever waits for a training may hear nothing for so long


class Trainer:
    """Trains what it is given, on one device; use as a context manager.

    Args:
        data_set: what is trained and judged on.
        folder: where the data set was found, if somebody named the place.
        results: what was trained before.
        at_once: how many processes train at once; None for as many as the device can take.

    Attributes:
        trained: how many trainings were run, and not found among the results.
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
        self._data = {"name": data_set.name, "folder": str(folder) if folder else "", "sha256": data_set.sha256}
        self._free: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._workers: list[_Worker] = []
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
        for worker in self._workers:
            worker.close()

    def train(
        self, chains: Mapping[str, Sequence[TrainingJob]], progress: Callable[[str], None] = lambda _: None
    ) -> dict[str, list[TrainingResult]]:
        """Train each chain's attempts in order until one reaches its threshold; several chains at once.

        Args:
            chains: by name (an item's id) what is tried, in order.
            progress: told in a few words how far it is.

        Returns:
            By name the runs that were made, the last of which decided.

        Raises:
            SystemFault: a worker broke.
        """
        longest_first = sorted(chains, key=lambda name: -sum(_cost(each) for each in chains[name][:1]))
        shown = _Progress(progress)
        with ThreadPoolExecutor(self._at_once) as threads:
            futures = {name: threads.submit(self._chain, name, chains[name], shown) for name in longest_first}
            try:
                return {name: futures[name].result() for name in chains}
            except BaseException:  # somebody has pressed Ctrl-C: nobody waits for what is still training
                self.close()
                threads.shutdown(cancel_futures=True)
                raise

    def _chain(self, name: str, attempts: Sequence[TrainingJob], shown: _Progress) -> list[TrainingResult]:
        runs: list[TrainingResult] = []
        for attempt in attempts:
            runs.append(self._run(name, attempt, shown))
            if runs[-1].accuracy >= attempt.recipe.threshold:
                break
        shown.done(name)
        return runs

    def _run(self, name: str, attempt: TrainingJob, shown: _Progress) -> TrainingResult:
        kept = self._results.get(attempt)
        if kept is not None:
            return kept
        with self._results.alone(attempt):
            kept = self._results.get(attempt)
            if kept is not None:
                return kept
            run = self._trained(attempt, lambda share: shown.tell(name, attempt, share))
            with self._lock:
                self.trained += 1
            self._results.put(attempt, run)
            return run

    def _trained(self, attempt: TrainingJob, told: Callable[[float], None]) -> TrainingResult:
        """Train in a process that is free; where it breaks, in another: memory that a neighbour took may be back."""
        for left in reversed(range(_TRIES)):
            worker = self._worker()
            try:
                run = worker.train(self._order(attempt), told)
            except SystemFault:
                if not left or self._closed:
                    raise
                continue
            self._free.put(worker)
            return run
        raise AssertionError

    def _order(self, attempt: TrainingJob) -> dict[str, Any]:
        return {
            "graph": attempt.graph.to_json(),
            "recipe": asdict(attempt.recipe),
            "seed": attempt.seed,
            "device": str(self.device),
            "data": self._data,
        }

    def _worker(self) -> _Worker:
        """Return a process that has nothing to do, started now where all have."""
        if self._closed:
            raise SystemFault("the trainer is closed")
        try:
            return self._free.get_nowait()
        except queue.Empty:
            worker = _Worker()
            with self._lock:
                self._workers.append(worker)
            return worker


@contextmanager
def offer_trainer(mode: Mode, folder: Path | None = None) -> Iterator[Trainer | None]:
    """Give what trains in this mode, None where nothing does or the data set is missing.

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


class _Worker:
    """The trusted end of `worker.py`."""

    def __init__(self) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "grader.training.trainer_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C is for whoever started us, who then closes this process
        )

    def train(self, order: dict[str, Any], told: Callable[[float], None]) -> TrainingResult:
        """Have a graph trained; `told` hears which share of it is done.

        Raises:
            SystemFault: the process broke, or said nothing for ten minutes.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
            while True:
                message = json.loads(self._line())
                if "run" in message:
                    return decode_result(message["run"])
                told(float(message["point"]))
        except (OSError, ValueError) as error:
            raise SystemFault(f"the process that trains broke ({error}):\n{self._last_words()}") from None

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        silence = threading.Timer(_SECONDS_OF_SILENCE, self._process.kill)
        silence.start()
        try:
            return self._process.stdout.readline()
        finally:
            silence.cancel()

    def _last_words(self) -> str:
        self._process.wait(10)
        self._log.seek(0)
        return self._log.read()[-4000:].decode(errors="replace")

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream is not None:
                stream.close()


class _Progress:
    """Puts what several trainings say into one line."""

    def __init__(self, progress: Callable[[str], None]) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._running: dict[str, tuple[float, float, int]] = {}

    def tell(self, name: str, attempt: TrainingJob, share: float) -> None:
        """Note which share of an attempt is done."""
        with self._lock:
            started, _, seed = self._running.get(name, (time.monotonic(), 0.0, attempt.seed))
            if seed != attempt.seed:
                started = time.monotonic()
            self._running[name] = (started, share, attempt.seed)
            self._say()

    def done(self, name: str) -> None:
        """Note the end of a chain."""
        with self._lock:
            self._running.pop(name, None)
            self._say()

    def _say(self) -> None:
        now = time.monotonic()
        parts, left = [], 0.0
        for name, (started, share, seed) in self._running.items():
            again = f" of try {seed + 1}" if seed else ""
            parts.append(f"{name} {share:.0%}{again}")
            if share:
                left = max(left, (now - started) * (1 - share) / share)
        if parts:
            self._progress(f"training: {', '.join(parts)}, about {left:.0f} s left")


def _cost(attempt: TrainingJob) -> float:
    return count_teraflops(attempt.graph, attempt.recipe)

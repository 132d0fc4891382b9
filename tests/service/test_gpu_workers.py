"""Real workers, a real Redis and two GPUs that do not exist: each job is graded once, one at a time on each GPU."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from grader.gpu.exclusive import hold_gpu
from grader.models.recipe import Mode
from grader.service.store.queries.totals import count_totals
from grader.service.store.schema import Stage, State
from tests.support.gpu_worker import BREAKS_ALL, GPUS, read_log
from tests.support.notebooks import notebook_bytes
from tests.support.paths import ASSIGNMENTS
from tests.support.running_service import RunningService, ServiceProcess, descendants, processes, until

LEARNED = str(ASSIGNMENTS / "learned")
FIRST, SECOND = (gpu.uuid for gpu in GPUS)
MODULE = ["-m", "tests.support.gpu_worker"]

pytestmark = pytest.mark.slow


class GPUService(RunningService):
    """A service whose workers have GPUs that do not exist; `devices` is their folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, lease_seconds=4)
        self.devices = folder / "devices"
        self.devices.mkdir()
        self.retry = 0.5

    def environment(self) -> dict[str, str]:
        told = {"GRADER_TEST_DEVICES": str(self.devices), "GRADER_TEST_RETRY": str(self.retry)}
        return {**super().environment(), **told}

    def pool(self, *queues: str) -> ServiceProcess:
        """Start a pool of both GPUs."""
        command = [sys.executable, *MODULE, "worker", *(queues or ("gpu",))]
        return self._start([*MODULE, "pool", *command], self.environment())

    def gpu_worker(self, uuid: str, queue: str) -> ServiceProcess:
        """Start a worker of one GPU."""
        return self._start([*MODULE, "worker", queue], {**self.environment(), "CUDA_VISIBLE_DEVICES": uuid})

    def hand_in_trainings(self, count: int, assignment: str = LEARNED, first_line: str = "") -> str:
        """Hand in a batch and grade its definitions, so that it waits for its trainings."""
        files = {
            f"s{number}": notebook_bytes(f"# {first_line or number}\ndef double(X): return X + X")
            for number in range(count)
        }
        worker = self.worker(("cpu",))
        batch = self.hand_in(files, Mode.FULL, assignment)
        until(lambda: {job.stage for job in self.gradings(batch).values()} == {Stage.TRAININGS})
        worker.send(signal.SIGTERM)
        worker.wait()
        return batch

    def wait_graded(self, batch: str) -> None:
        """Wait until nothing of a batch is left to be graded."""
        until(lambda: self.done(batch), 240, self.last_words)

    def _start(self, command: Sequence[str], environment: dict[str, str]) -> ServiceProcess:
        self.workers.append(ServiceProcess(command, environment, self.log))
        return self.workers[-1]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[GPUService]:
    with GPUService(tmp_path) as made:
        yield made


def kinds(service: GPUService) -> Counter[str]:
    return Counter(kind for kind, *_ in read_log(service.devices))


def begun(service: GPUService) -> list[str]:
    """Return the GPU of each training that has begun."""
    return [uuid for kind, uuid, *_ in read_log(service.devices) if kind == "begin"]


def require_free() -> None:
    """Make sure that no process holds a GPU."""
    for gpu in GPUS:
        with hold_gpu(gpu):
            pass


def test_under_kills_every_job_is_graded_once_and_one_at_a_time_on_each_gpu(service: GPUService) -> None:
    batch = service.hand_in_trainings(10)
    dice = random.Random(18)
    pool = service.pool()
    for _ in range(5):
        seen = len(begun(service))
        until(lambda seen=seen: len(begun(service)) > seen or service.done(batch), 240, service.last_words)  # type: ignore[misc]
        victim = dice.choice(["a worker", "a process that grades", "the pool"])
        if victim == "the pool":
            below = descendants(pool.pid)
            pool.kill()
            until(lambda below=below: not set(below) & {pid for pid, _ in processes()})  # type: ignore[misc]
            require_free()
            pool = service.pool()
            continue
        workers = pool.children()
        victims = workers if victim == "a worker" else [pid for pid, parent in processes() if parent in workers]
        if victims:
            with suppress(ProcessLookupError):
                os.kill(dice.choice(victims), signal.SIGKILL)
    service.wait_graded(batch)
    assert {key: len(reports) for key, reports in service.reports(batch).items()} == {f"s{n}": 1 for n in range(10)}
    assert kinds(service)["together"] == 0
    assert kinds(service)["begin"] >= 10
    below = descendants(pool.pid)
    pool.kill()
    until(lambda: not set(below) & {pid for pid, _ in processes()})
    require_free()


@pytest.mark.parametrize("where", ["while it grades", "in between"])
def test_a_gpu_that_fails_leaves_the_pool_and_the_other_one_grades_its_job(service: GPUService, where: str) -> None:
    service.retry = 1000
    batch = service.hand_in_trainings(4)
    if where == "while it grades":
        (service.devices / "slow").touch()
    pool = service.pool()
    if where == "while it grades":
        until(lambda: set(begun(service)) == {FIRST, SECOND}, last_words=service.last_words)
        (service.devices / f"breaks-{FIRST}").touch()
        (service.devices / "slow").unlink()
    else:
        until(lambda: len(pool.children()) == 2)
        (service.devices / f"fault-{FIRST}").write_text("Xid 79: it has fallen off the bus")
    service.wait_graded(batch)
    until(lambda: f"the GPU {FIRST} (NVIDIA H200) is out of the pool" in service.log.read_text())
    jobs = service.gradings(batch).values()
    assert {job.state for job in jobs} == {State.GRADED}
    assert {len(reports) for reports in service.reports(batch).values()} == {1}
    assert sum(job.device_faults for job in jobs) == (1 if where == "while it grades" else 0)
    assert {job.attempts for job in jobs} == {1}
    assert kinds(service)["together"] == 0
    assert len(pool.children()) == 1
    pool.send(signal.SIGTERM)
    assert pool.wait() == 0


def test_a_submission_that_breaks_every_gpu_ends_as_a_system_error(service: GPUService) -> None:
    batch = service.hand_in_trainings(1, first_line=BREAKS_ALL)
    service.pool()

    def done() -> bool:
        if not service.workers[-1].lives:  # no GPU was left for a moment
            assert service.workers[-1].wait() == 3
            service.pool()
        return service.done(batch)

    until(done, 240, service.last_words)
    (job,) = service.gradings(batch).values()
    assert (job.state, job.device_faults, job.attempts) == (State.FAILED, 3, 0)
    assert "a GPU failed in 3 attempts at this submission" in job.message
    assert service.reports(batch)["s0"] == []
    assert kinds(service)["begin"] == 3


def test_jobs_wait_for_the_workers_of_their_queue(service: GPUService, tmp_path: Path) -> None:
    small = tmp_path / "small"
    shutil.copytree(LEARNED, small)
    rubric = (small / "rubric.toml").read_text()
    (small / "rubric.toml").write_text(f'{rubric}\n[gpu]\nqueue = "gpu-small"\n')
    on_small = service.hand_in_trainings(2, str(small))
    on_any = service.hand_in_trainings(2)
    service.gpu_worker(FIRST, "gpu")
    service.wait_graded(on_any)
    assert set(begun(service)) == {FIRST}
    waiting = count_totals(service.store).waiting
    assert {queue: jobs.count for queue, jobs in waiting.items()} == {"cpu": 0, "gpu": 0, "gpu-small": 2}
    service.gpu_worker(SECOND, "gpu-small")
    service.wait_graded(on_small)
    assert Counter(begun(service)) == {FIRST: 2, SECOND: 2}


def test_a_pool_that_is_told_to_stop_finishes_its_jobs_and_told_twice_gives_them_back(service: GPUService) -> None:
    batch = service.hand_in_trainings(4)
    (service.devices / "slow").touch()
    pool = service.pool()
    until(lambda: set(begun(service)) == {FIRST, SECOND}, last_words=service.last_words)
    pool.send(signal.SIGTERM)
    until(lambda: service.log.read_text().count("Warm shutdown") == 3)  # with that of the queue cpu
    (service.devices / "slow").unlink()
    assert pool.wait() == 0
    assert Counter(service.states(batch).values()) == {State.GRADED: 2, State.WAITING: 2}
    (service.devices / "slow").touch()
    pool = service.pool()
    until(lambda: len(begun(service)) == 4, last_words=service.last_words)
    pool.send(signal.SIGTERM)
    until(lambda: service.log.read_text().count("Warm shutdown") == 5)
    pool.send(signal.SIGTERM)
    assert pool.wait() == 0
    given_back = [job for job in service.gradings(batch).values() if job.state is State.WAITING]
    assert [(job.attempts, job.device_faults) for job in given_back] == [(0, 0)] * 2
    assert {job.message for job in given_back} == {"the worker was stopped"}
    require_free()


def test_a_second_worker_on_a_gpu_does_not_start(service: GPUService) -> None:
    with hold_gpu(GPUS[0]):
        worker = service.gpu_worker(FIRST, "gpu")
        assert worker.wait() != 0
    assert "is used by another worker" in service.last_words()

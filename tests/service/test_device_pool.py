"""The pool of GPUs: a worker on each, none on one that has failed, and what signals do. The workers are stand-ins."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.errors import InputError
from grader.service.device_pool import require_gpu_queues
from tests.support.gpu_worker import GPUS
from tests.support.paths import ROOT
from tests.support.running_service import ServiceProcess, processes, until

FIRST, SECOND = (gpu.uuid for gpu in GPUS)

# Notes its GPU, ends as the test says, and counts its SIGTERMs.
WORKER = """
import os, signal, sys, time
from pathlib import Path
folder, uuid, signals = Path(sys.argv[1]), os.environ["CUDA_VISIBLE_DEVICES"], []
signal.signal(signal.SIGTERM, lambda *_: signals.append(1))
with open(folder / "started", "a") as file:
    file.write(f"{uuid} {os.getpid()}\\n")
while True:
    for name in (f"exit-{uuid}", f"always-{uuid}"):
        if (folder / name).exists():
            code = int((folder / name).read_text())
            if name.startswith("exit"):
                (folder / name).unlink()
            sys.exit(code)
    if signals:
        (folder / f"signals-{uuid}").write_text(str(len(signals)))
    time.sleep(0.01)
"""


class Pool:
    """A pool in a process of its own, and what its workers noted."""

    def __init__(self, folder: Path, retry: float) -> None:
        self.folder = folder
        self.log = folder / "pool.log"
        environment = {**os.environ, "GRADER_TEST_DEVICES": str(folder), "GRADER_TEST_RETRY": str(retry)}
        command = ["-m", "tests.support.gpu_worker", "pool", sys.executable, "-c", WORKER, str(folder)]
        self.process = ServiceProcess(command, environment, self.log)

    def started(self) -> list[tuple[str, int]]:
        """Return the GPU and the process of each worker that has started, in order."""
        file = self.folder / "started"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(uuid, int(pid)) for uuid, pid in map(str.split, lines)]

    def wait_for(self, **counts: int) -> None:
        """Wait until at least as many workers have started on the first GPU and on the second."""
        wanted = {FIRST: counts.get("first", 0), SECOND: counts.get("second", 0)}

        def enough() -> bool:
            found = Counter(uuid for uuid, _ in self.started())
            return all(found[uuid] >= count for uuid, count in wanted.items())

        until(enough, last_words=self.said)

    def tell(self, name: str, text: str = "") -> None:
        """Write a file for the workers or the driver."""
        whole = self.folder / "new"
        whole.write_text(text)
        whole.rename(self.folder / name)

    def said(self) -> str:
        return self.log.read_text()


@pytest.fixture
def retry() -> float:
    """The first pause of a GPU that left the pool."""
    return 0.1


@pytest.fixture
def pool(tmp_path: Path, retry: float) -> Iterator[Pool]:
    made = Pool(tmp_path, retry)
    yield made
    made.process.kill()


def test_each_gpu_has_one_worker_that_is_started_again_when_it_dies(pool: Pool) -> None:
    pool.wait_for(first=1, second=1)
    (victim,) = [pid for uuid, pid in pool.started() if uuid == FIRST]
    os.kill(victim, signal.SIGKILL)
    pool.wait_for(first=2)
    pool.tell(f"exit-{FIRST}", "1")
    pool.wait_for(first=3)
    assert Counter(uuid for uuid, _ in pool.started())[SECOND] == 1
    assert len(pool.process.children()) == 2
    assert f'"device": "{FIRST}"' in pool.said()
    assert "a worker ended with exit code -9" in pool.said()


def test_the_first_signal_is_passed_on_and_a_second_one_too(pool: Pool) -> None:
    pool.wait_for(first=1, second=1)
    for number in ("1", "2"):
        pool.process.send(signal.SIGTERM)
        for uuid in (FIRST, SECOND):
            file = pool.folder / f"signals-{uuid}"
            until(lambda file=file, number=number: file.exists() and file.read_text() == number)  # type: ignore[misc]
    for uuid in (FIRST, SECOND):
        pool.tell(f"exit-{uuid}", "1")
    assert pool.process.wait() == 0
    assert len(pool.started()) == 2  # whatever they end with, nothing is started again


def test_ctrl_c_of_a_terminal_reaches_workers_once(pool: Pool) -> None:
    pool.wait_for(first=1, second=1)
    os.killpg(pool.process.pid, signal.SIGINT)
    told = [pool.folder / f"signals-{uuid}" for uuid in (FIRST, SECOND)]
    until(lambda: all(file.exists() and file.read_text() for file in told))
    assert {os.getsid(pid) for _, pid in pool.started()} == {pid for _, pid in pool.started()}
    for uuid in (FIRST, SECOND):
        pool.tell(f"exit-{uuid}", "0")
    assert pool.process.wait() == 0
    assert [file.read_text() for file in told] == ["1", "1"]


def test_of_a_pool_that_is_killed_no_worker_is_left(pool: Pool) -> None:
    pool.wait_for(first=1, second=1)
    pool.process.kill()
    until(lambda: not {pid for _, pid in pool.started()} & {pid for pid, _ in processes()})


@pytest.mark.parametrize("retry", [1000.0])
def test_a_gpu_that_fails_is_out_of_the_pool_and_the_other_goes_on(pool: Pool) -> None:
    pool.wait_for(first=1, second=1)
    pool.tell(f"exit-{FIRST}", "72")
    until(lambda: "is out of the pool" in pool.said())
    assert "nvidia-smi" in pool.said()
    assert '"level": "error"' in pool.said()
    pool.tell(f"exit-{SECOND}", "1")
    pool.wait_for(second=2)
    assert [uuid for uuid, _ in pool.started()] == [FIRST, SECOND, SECOND] or pool.started()[0][0] == SECOND
    assert Counter(uuid for uuid, _ in pool.started())[FIRST] == 1


@pytest.mark.parametrize("retry", [1000.0])
def test_sighup_tries_a_gpu_at_once(pool: Pool) -> None:
    pool.wait_for(first=1, second=1)
    pool.tell(f"exit-{FIRST}", "72")
    until(lambda: "is out of the pool" in pool.said())
    pool.process.send(signal.SIGHUP)
    pool.wait_for(first=2)


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        (f"used-{FIRST}", str(2**30), "1024 MiB more of its memory are in use"),
        (f"lost-{FIRST}", "", "it is lost"),
    ],
    ids=["memory is in use", "it does not answer"],
)
def test_a_gpu_comes_back_once_it_answers_and_its_memory_is_free(pool: Pool, file: str, text: str, said: str) -> None:
    pool.wait_for(first=1, second=1)
    pool.tell(file, text)
    pool.tell(f"exit-{FIRST}", "72")
    until(lambda: "no worker is started on a GPU" in pool.said() and said in pool.said(), last_words=pool.said)
    assert Counter(uuid for uuid, _ in pool.started())[FIRST] == 1
    (pool.folder / file).unlink()
    pool.process.send(signal.SIGHUP)
    pool.wait_for(first=2)


def test_what_a_dead_worker_had_is_cleared_away_before_the_next_one_starts(pool: Pool) -> None:
    pool.wait_for(first=1, second=1)
    pool.tell(f"used-{FIRST}", str(2**30))
    pool.tell(f"exit-{FIRST}", "1")
    until(lambda: "1024 MiB more of its memory are in use" in pool.said(), last_words=pool.said)
    assert Counter(uuid for uuid, _ in pool.started())[FIRST] == 1
    (pool.folder / f"used-{FIRST}").unlink()
    pool.wait_for(first=2)


def test_a_gpu_that_fails_again_and_again_does_not_stop_the_pool(pool: Pool) -> None:
    pool.wait_for(first=1, second=1)
    pool.tell(f"always-{FIRST}", "72")
    pool.wait_for(first=4)
    assert pool.process.lives
    assert Counter(uuid for uuid, _ in pool.started())[SECOND] == 1


@pytest.mark.parametrize("retry", [1000.0])
@pytest.mark.parametrize(("codes", "expected"), [(("72", "72"), 3), (("2", "72"), 3), (("2", "2"), 2)])
def test_without_a_gpu_the_pool_ends(pool: Pool, codes: tuple[str, str], expected: int) -> None:
    pool.wait_for(first=1, second=1)
    for uuid, code in zip((FIRST, SECOND), codes, strict=True):
        pool.tell(f"exit-{uuid}", code)
    assert pool.process.wait() == expected


def test_a_gpu_that_does_not_answer_at_the_start_is_named(tmp_path: Path) -> None:
    (tmp_path / f"lost-{FIRST}").touch()
    made = Pool(tmp_path, 1000)
    try:
        made.wait_for(second=1)
        assert "not in the pool: GPU 0: it is lost" in made.said()
    finally:
        made.process.kill()


def test_devices_are_for_gpu_queues() -> None:
    require_gpu_queues(["gpu", "gpu-small"])
    with pytest.raises(InputError, match="the queue cpu uses no GPU"):
        require_gpu_queues(["gpu", "cpu"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--queue", "gpu", "--devices", "all"], "--devices: no driver for GPUs was found"),
        (["--queue", "cpu", "--devices", "all"], "the queue cpu uses no GPU"),
        (["--queue", "gpu", "--devices", "0", "--processes", "2"], "leave out --processes 2"),
    ],
    ids=["no driver", "another queue", "several at once"],
)
def test_a_pool_that_cannot_be_is_one_line_and_exit_code_2(options: list[str], said: str) -> None:
    command = [sys.executable, "-c", "from grader.cli.entry import main; main()", "worker", *options]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr

"""`grader worker`: how it stops, what it leaves behind, and which failures it survives."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from grader.models.recipe import Mode
from grader.service.store.queries.leases import claim_lease
from grader.service.store.schema import State
from grader.service.worker import Reconciler
from grader.training.datasets import DataSet
from tests.support.notebooks import notebook_bytes
from tests.support.paths import ASSIGNMENTS
from tests.support.running_service import DOUBLED, ROOT, RunningService, descendants, notebooks, processes, until

LEARNED = ASSIGNMENTS / "learned"
MODEL = """
from torch import nn
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(), nn.Linear(144, 10))
    def forward(self, X):
        return self.net(X)
"""

GRADER = [sys.executable, "-c", "from grader.cli import app, worker; app()"]


pytestmark = pytest.mark.slow


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    """A service for each test, since tests end its worker."""
    with RunningService(tmp_path) as made:
        yield made


def sleeping(seconds: float) -> bytes:
    """Return a notebook that sleeps for `seconds`."""
    return notebook_bytes(f"import time\ntime.sleep({seconds})", "def double(X): return X + X")


def graded_now(service: RunningService, batch: str) -> bool:
    """Return whether a student's cells are running: then a worker has a third process below its warm one."""
    leased = State.LEASED in service.states(batch).values()
    return leased and any(len(descendants(pid)) > 2 for worker in service.workers for pid in worker.children())


def trainings(pid: int) -> list[int]:
    """Return the processes below one that train."""
    return [child for child in descendants(pid) if b"grader.training.trainer_process" in command_line(child)]


def command_line(pid: int) -> bytes:
    """Return a process's command and arguments, nothing if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def gone(pids: list[int]) -> bool:
    """Return whether all of these processes have ended."""
    return not set(pids) & {pid for pid, _ in processes()}


def test_told_to_stop_it_ends_what_runs_and_takes_nothing_new(service: RunningService) -> None:
    worker = service.worker()
    batch = service.hand_in({"first": sleeping(2), **notebooks(3)})
    until(lambda: graded_now(service, batch), last_words=service.last_words)
    below = descendants(worker.pid)
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    states = service.states(batch)
    assert states.pop("first") is State.GRADED
    assert set(states.values()) == {State.WAITING}
    until(lambda: gone(below))


def test_told_twice_it_gives_back_what_runs_and_ends_at_once(service: RunningService) -> None:
    worker = service.worker()
    batch = service.hand_in({"first": sleeping(1000)})
    until(lambda: graded_now(service, batch), last_words=service.last_words)
    below = descendants(worker.pid)
    worker.send(signal.SIGTERM)
    until(lambda: "Warm shutdown" in service.last_words())  # two signals at once are one
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    given_back = service.gradings(batch)["first"]
    assert (given_back.state, given_back.attempts) == (State.WAITING, 0)
    assert given_back.message == "the worker was stopped"
    until(lambda: gone(below))


def test_a_process_told_to_stop_gives_back_what_it_grades_and_blames_nobody(service: RunningService) -> None:
    worker = service.worker()
    batch = service.hand_in({"first": sleeping(3)})
    until(lambda: graded_now(service, batch), last_words=service.last_words)
    os.kill(worker.children()[0], signal.SIGTERM)
    until(lambda: service.gradings(batch)["first"].message == "the worker was stopped")
    service.wait(batch)
    assert [report.score for report in service.reports(batch)["first"]] == [2]


@pytest.mark.parametrize("killed", ["the worker", "its process"])
def test_of_a_worker_that_is_killed_no_process_is_left(service: RunningService, killed: str) -> None:
    worker = service.worker()
    batch = service.hand_in({"first": sleeping(1000)})
    until(lambda: graded_now(service, batch), last_words=service.last_words)
    (child,) = worker.children()
    below = descendants(worker.pid)
    assert len(below) > 2
    if killed == "the worker":
        worker.kill()
    else:
        os.kill(child, signal.SIGKILL)
    until(lambda: gone(below))


def test_of_a_worker_that_is_killed_no_training_is_left(
    service: RunningService, tmp_path: Path, fashion_mnist: DataSet
) -> None:
    endless = tmp_path / "endless"
    shutil.copytree(LEARNED, endless)
    rubric = (endless / "rubric.toml").read_text()
    # One epoch that takes minutes: a process that trains speaks only after each.
    (endless / "rubric.toml").write_text(rubric.replace("images = 2000", "images = 60000").replace("= 32\n", "= 1\n"))
    worker = service.worker(queues=("cpu", "gpu"))
    service.hand_in({"first": notebook_bytes(MODEL)}, Mode.FULL, str(endless))
    until(lambda: bool(trainings(worker.pid)), last_words=service.last_words)
    below = descendants(worker.pid)
    worker.kill()
    until(lambda: gone(below), 30)


def test_no_process_inherits_a_connection_of_the_reconciler(service: RunningService) -> None:
    batch = service.accept(notebooks(1))
    ((key, job),) = service.gradings(batch).items()
    assert claim_lease(service.store, job.id, "gone", -1, "cpu")
    with Reconciler(replace(service.settings, lease_seconds=0.2), service.app):
        until(lambda: service.states(batch)[key] is State.WAITING)
        service.store.close()
        child = os.fork()
        if not child:
            opened = [os.path.realpath(each) for each in Path("/proc/self/fd").iterdir()]
            os._exit(any("grader.sqlite" in path for path in opened))
    assert os.waitpid(child, 0)[1] == 0


def test_both_queues_can_be_one_worker_s(service: RunningService) -> None:
    worker = service.worker(queues=("cpu", "gpu"))
    batch = service.hand_in(notebooks(2))
    service.wait(batch)
    assert {len(own) for own in service.reports(batch).values()} == {1}
    worker.send(signal.SIGINT)
    assert worker.wait() == 0


def test_it_starts_and_stops_while_redis_is_away(service: RunningService) -> None:
    service.redis.kill()
    worker = service.worker()
    until(lambda: "Connection refused" in service.last_words())
    service.redis.start()
    batch = service.hand_in(notebooks(1))
    service.wait(batch)
    service.redis.kill()
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0


def test_redis_that_was_away_when_a_grading_ended_stops_nothing(service: RunningService) -> None:
    service.worker()
    first = service.hand_in({"first": sleeping(2)})
    until(lambda: graded_now(service, first), last_words=service.last_words)
    service.redis.kill()
    service.wait(first)
    until(lambda: "Couldn't ack" in service.last_words())
    service.redis.start()
    second = service.hand_in(notebooks(2))
    service.wait(second, 60)
    assert {len(own) for own in service.reports(second).values()} == {1}


def test_the_log_has_a_line_for_each_grading_and_no_name(service: RunningService) -> None:
    service.worker()
    batch = service.hand_in({"Kim Minji": notebook_bytes("def double(X): return X + X")})
    service.wait(batch)
    job = service.gradings(batch)["Kim Minji"].id
    until(lambda: '"ended"' in service.last_words())
    (line,) = [line for line in service.last_words().splitlines() if '"ended"' in line]
    assert f'"grading": "{job}"' in line
    assert '"outcome": "reported"' in line
    assert "Minji" not in service.last_words()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"GRADER_DATABASE": "sqlite:///{folder}/new.sqlite"}, "grader database upgrade"),
        ({"GRADER_ASSIGNMENTS": f"{DOUBLED},none"}, "no assignment named 'none'"),
        ({"GRADER_LEASE_SECONDS": "soon"}, "GRADER_LEASE_SECONDS"),
        ({"GRADER_KEY_FILE": "/dev/null"}, "no regular file"),
    ],
    ids=["no tables", "no such assignment", "no number", "no key"],
)
def test_a_wrong_setting_is_one_line_and_exit_code_2(
    service: RunningService, changed: dict[str, str], said: str
) -> None:
    variables = {name: value.format(folder=service.folder) for name, value in changed.items()}
    ended = subprocess.run(
        [*GRADER, "worker", "--processes", "1"],
        cwd=ROOT,
        env={**service.environment(), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_command_grades(service: RunningService) -> None:
    batch = service.hand_in(notebooks(1))
    with open(service.log, "wb") as log:
        command = subprocess.Popen([*GRADER, "worker"], cwd=ROOT, env=service.environment(), stdout=log, stderr=log)
    try:
        until(lambda: service.done(batch), last_words=service.last_words)
        command.terminate()
        assert command.wait(60) == 0
    finally:
        command.kill()
        command.wait()
    assert len(service.reports(batch)["student-0000"]) == 1

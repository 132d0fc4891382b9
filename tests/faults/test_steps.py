"""A kill at each step of a job: it still ends in exactly one report."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.notebooks import notebook_bytes
from tests.support.paths import ASSIGNMENTS
from tests.support.running_service import ROOT, RunningService, notebooks
from tests.support.worker_process import TAKEN

pytestmark = pytest.mark.slow

SCORES = {"student-0000": 2, "student-0001": 3, "student-0002": 3}

ACCEPT_AND_DIE = """
import os, signal
from grader.models.recipe import Mode
from grader.service.settings import Settings
from grader.service.store.queries.hand_ins import NewSubmission, accept_batch
from grader.service.store.database import Store
from grader.service.store.queries.tokens import find_token
from tests.support.running_service import DOUBLED, notebooks
store = Store.open(Settings.from_environment())
owner = find_token(store, os.environ["SECRET"])
new = [NewSubmission(key, key, files=[("homework.ipynb", data)]) for key, data in notebooks(3).items()]
print(accept_batch(store, owner, DOUBLED, Mode.NONE, "", new).batch, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service for the module, with a worker of two processes and enough attempts for all kills."""
    with RunningService(tmp_path_factory.mktemp("service"), processes=2, attempts=20) as made:
        made.worker()
        yield made


def scores(service: RunningService, batch: str) -> dict[str, float]:
    """Return each submission's score. Fail unless each has exactly one report."""
    return {key: own.score for key, (own,) in service.reports(batch).items()}


@pytest.mark.parametrize(
    ("step", "claims"),
    [("received", 3), ("claimed", 4), ("grading", 4), ("graded", 4), ("ended", 3)],
    ids=["before the claim", "after the claim", "while grading", "before the report", "after the report"],
)
def test_a_process_killed_at_a_step_loses_nothing(service: RunningService, step: str, claims: int) -> None:
    service.set_trap(step)
    batch = service.hand_in(notebooks(3))
    service.wait(batch)
    assert not service.trap.exists()
    assert scores(service, batch) == SCORES
    assert service.attempts(batch) >= claims


def test_a_worker_killed_between_publishing_and_sending_loses_nothing(service: RunningService) -> None:
    service.keep_working()
    service.set_trap("enqueued")
    batch = service.accept(notebooks(3))
    service.wait(batch)
    assert not service.trap.exists()
    assert scores(service, batch) == SCORES


def test_a_worker_killed_with_a_message_in_its_hand_loses_nothing(service: RunningService) -> None:
    service.keep_working()
    service.set_trap(TAKEN)
    batch = service.hand_in(notebooks(3))
    service.wait(batch)
    assert not service.trap.exists()
    assert scores(service, batch) == SCORES


def test_a_server_killed_after_it_accepted_loses_nothing(service: RunningService) -> None:
    died = subprocess.run(
        [sys.executable, "-c", ACCEPT_AND_DIE],
        cwd=ROOT,
        env={**service.environment(), "SECRET": service.secret},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    batch = died.stdout.strip()
    service.wait(batch)
    assert scores(service, batch) == SCORES


def test_redis_killed_and_started_empty_loses_nothing(service: RunningService) -> None:
    batch = service.hand_in(notebooks(12))
    service.redis.kill()
    service.redis.wipe()
    assert service.enqueue() == 0
    service.redis.start()
    service.wait(batch)
    assert {len(own) for own in service.reports(batch).values()} == {1}


def test_a_warm_process_killed_loses_nothing(service: RunningService) -> None:
    service.keep_working()
    batch = service.hand_in(notebooks(6))
    for zygote in service.zygotes():
        os.kill(zygote, signal.SIGKILL)
    service.wait(batch)
    assert {len(own) for own in service.reports(batch).values()} == {1}


def test_a_submission_that_kills_its_grader_fails_and_the_others_go_on(tmp_path: Path) -> None:
    poisoned = str(ASSIGNMENTS / "poisoned")
    with RunningService(tmp_path, processes=2, assignments=poisoned) as service:
        service.worker()
        values = {"poison": 13, "first": 1, "second": 2}
        files = {key: notebook_bytes(f"def value(): return {value}") for key, value in values.items()}
        batch = service.hand_in(files, assignment=poisoned)
        service.wait(batch)
        jobs = service.gradings(batch)
        assert {key: str(row.state) for key, row in jobs.items()} == {
            "poison": "failed",
            "first": "graded",
            "second": "graded",
        }
        assert not jobs["poison"].refused
        assert jobs["poison"].attempts == 3
        assert "went away in attempt 3" in jobs["poison"].message
        assert {key: len(own) for key, own in service.reports(batch).items()} == {"poison": 0, "first": 1, "second": 1}

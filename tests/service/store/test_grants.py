"""The role of workers on PostgreSQL: enough to grade, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError

from grader.errors import InputError, SystemFault
from grader.models.recipe import Mode
from grader.service.broker import make_broker_app
from grader.service.settings import Settings
from grader.service.store.database import Store, check_migrated, migrate
from grader.service.store.grants import write_worker_grants
from grader.service.store.queries.hand_ins import NewSubmission, accept_batch
from grader.service.store.queries.leases import (
    Reconciled,
    claim_lease,
    give_back_lease,
    reconcile_leases,
    record_device_fault,
    release_lease,
    renew_lease,
)
from grader.service.store.queries.queue import mark_enqueued, unmark_enqueued
from grader.service.store.queries.submissions import find_submissions
from grader.service.store.schema import State
from grader.service.tasks import JobRunner
from tests.support.notebooks import notebook_bytes
from tests.support.paths import ASSIGNMENTS
from tests.support.postgresql import PostgresServer
from tests.support.store_content import token

WRITTEN = str(ASSIGNMENTS / "doubled")


@pytest.fixture(scope="module")
def owned(postgresql: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A database with the role `grader_worker`, as its owner sees it."""
    blobs = tmp_path_factory.mktemp("blobs")
    settings = Settings(database=postgresql.create(), blobs=f"file://{blobs}", broker="redis://127.0.0.1:1/0")
    migrate(settings)
    with closing(Store.open(settings)) as store, store.session() as session:
        session.execute(text("CREATE ROLE grader_worker LOGIN"))
        for _ in range(2):  # as after an upgrade
            session.execute(text(write_worker_grants("grader_worker")))
    return settings


@pytest.fixture
def owner(owned: Settings) -> Iterator[Store]:
    with closing(Store.open(owned)) as store:
        yield store


@pytest.fixture
def settings(owned: Settings) -> Settings:
    """The settings of a worker."""
    url = make_url(owned.database).set(username="grader_worker")
    return replace(owned, database=url.render_as_string(hide_password=False))


def accept(owner: Store, name: str, mode: Mode = Mode.NONE) -> tuple[str, str]:
    """Hand in a submission, and return its batch and its job."""
    data = notebook_bytes("def double(X): return X + X", "def halve(X): return X / 2")
    new = [NewSubmission("s", "s", files=[("homework.ipynb", data)])]
    batch = accept_batch(owner, token(owner, name), WRITTEN, mode, "", new).batch
    (job,) = [each.job for each in mark_enqueued(owner, 8, 1000)]
    return batch, job


def execute(store: Store, statement: str) -> None:
    with store.session() as session:
        session.execute(text(statement))


def test_a_worker_with_its_role_grades_both_stages(owner: Store, settings: Settings) -> None:
    batch, job = accept(owner, "first", Mode.FULL)
    with closing(Store.open(settings)) as store:
        check_migrated(store)
    with closing(JobRunner(replace(settings, lease_seconds=0.6), make_broker_app(settings))) as runner:
        runner.run(job, "cpu")
        runner.run(job, "gpu")
    (status,) = find_submissions(owner, batch)
    assert (status.state, status.score) == (State.GRADED, 3)


def test_with_its_role_a_worker_gives_back_and_recovers(owner: Store, settings: Settings) -> None:
    _, job = accept(owner, "second")
    with closing(Store.open(settings)) as store:
        lease = claim_lease(store, job, "w", 60, "cpu")
        assert lease
        assert renew_lease(store, lease, 60)
        assert release_lease(store, lease, "stopped")
        lease = claim_lease(store, job, "w", 60, "cpu")
        assert lease
        assert record_device_fault(store, lease, "Xid 79", 3)
        lease = claim_lease(store, job, "w", 60, "cpu")
        assert lease
        assert give_back_lease(store, lease, "broke", 3)
        assert claim_lease(store, job, "w", -1, "cpu")
        assert reconcile_leases(store, 3) == Reconciled(1, 0)
        enqueued = mark_enqueued(store, 8, 1000)
        assert [each.job for each in enqueued] == [job]
        unmark_enqueued(store, enqueued)
        assert mark_enqueued(store, 8, 1000) == enqueued


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT sha256 FROM token",
        "INSERT INTO token (id, name, role, person, sha256, created_at) VALUES ('x', 'x', 'instructor', '', 'x', 0)",
        "UPDATE token SET role = 'instructor'",
        "SELECT * FROM mark",
        "DELETE FROM mark",
        "DELETE FROM report",
        "UPDATE report SET score = 100",
        "UPDATE report SET published_at = 0",
        "UPDATE grading SET submission = ''",
        "UPDATE batch SET owner = ''",
        "INSERT INTO batch SELECT * FROM batch",
        "SELECT detail FROM event",
        "DELETE FROM event",
        "UPDATE installation_key SET current = false",
        "DELETE FROM installation_key",
        "UPDATE alembic_version SET version_num = '0'",
        "ALTER TABLE grading ADD COLUMN x int",
        "DROP TABLE grading",
        "TRUNCATE grading",
        "CREATE TABLE x (y int)",
        "CREATE ROLE x",
    ],
)
def test_with_its_role_a_worker_can_do_nothing_else(settings: Settings, statement: str) -> None:
    with closing(Store.open(settings)) as store, pytest.raises(SystemFault, match=r"permission denied|must be owner"):
        execute(store, statement)


def test_the_id_of_a_batch_stays(owner: Store, settings: Settings) -> None:
    """The right to lock a batch is the right to change its id, which the rows that refer to it forbid."""
    accept(owner, "third")
    with closing(Store.open(settings)) as store, pytest.raises(IntegrityError, match="foreign key"):
        execute(store, "UPDATE batch SET id = id || 'x'")


@pytest.mark.parametrize("name", ["", "grader; DROP TABLE token", "Worker", '"x"'])
def test_a_role_has_a_plain_name(name: str) -> None:
    with pytest.raises(InputError, match="no name for a role"):
        write_worker_grants(name)


def test_the_command_prints_the_rights(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from grader.cli.commands import app

    result = CliRunner().invoke(app, ["database", "grants", "grader_worker"])
    assert result.exit_code == 0
    assert result.stdout == write_worker_grants("grader_worker")

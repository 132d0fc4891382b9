"""One store for each test, on SQLite and on PostgreSQL: every test runs on both."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import text

from grader.models.recipe import Mode
from grader.results.report import ItemResult, Report, Verdict
from grader.service.settings import Settings
from grader.service.store.database import Store, make_engine, migrate
from grader.service.store.queries.hand_ins import NewSubmission, accept_batch
from grader.service.store.queries.leases import Lease, claim_lease
from grader.service.store.queries.queue import mark_enqueued
from grader.service.store.queries.tokens import Role, Token, create_token, find_token
from grader.service.store.schema import Row
from tests.support.postgresql import Server, server

Answer = TypeVar("Answer")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A PostgreSQL server for all tests of this process."""
    with server() as running:
        yield running


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql: Server) -> str:
    """The URL of a database with all tables, used by one test after the other."""
    url = postgresql.create()
    migrate(Settings(database=url))
    return url


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with all tables, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "grader.sqlite"
    migrate(Settings(database=f"sqlite:///{path}"))
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of database."""
    name: str = request.param
    return name


@pytest.fixture
def empty(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings with a database that has no tables."""
    settings = Settings(database=f"sqlite:///{tmp_path}/grader.sqlite", blobs=f"file://{tmp_path}/blobs")
    if kind == "sqlite":
        return settings
    postgresql: Server = request.getfixturevalue("postgresql")
    return replace(settings, database=postgresql.create())


@pytest.fixture
def settings(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings with a database that has all tables, and nothing in them."""
    settings = Settings(database=f"sqlite:///{tmp_path}/grader.sqlite", blobs=f"file://{tmp_path}/blobs")
    if kind == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "grader.sqlite")
        return settings
    url: str = request.getfixturevalue("migrated_postgresql")
    engine = make_engine(url)
    with engine.begin() as connection:  # making a database takes seconds
        connection.execute(text("SET lock_timeout = '10s'"))  # an earlier test may have left a transaction open
        connection.execute(text(f"TRUNCATE {', '.join(Row.metadata.tables)}"))
    engine.dispose()
    return replace(settings, database=url)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    """An empty store."""
    opened = Store.open(settings)
    yield opened
    opened.close()


@pytest.fixture
def instructor(store: Store) -> Token:
    """The token of the submitter."""
    return token(store, "Kim's class")


def token(store: Store, name: str, role: Role = Role.INSTRUCTOR, person: str = "") -> Token:
    found = find_token(store, create_token(store, name, role, person))
    assert found
    return found


def hand_in(store: Store, owner: Token, count: int = 1, mode: Mode = Mode.NONE, person: str = "") -> str:
    """Hand in a batch of `count` submissions (s0, s1, ...) and return its id."""
    submissions = [
        NewSubmission(f"s{number}", f"Student {number}", {"id": str(number)}, [("a.ipynb", b"%d" % number)], person)
        for number in range(count)
    ]
    return accept_batch(store, owner, "hw2", mode, "Homework 2", submissions).batch


def jobs(store: Store, count: int) -> list[str]:
    """Return the ids of `count` jobs in the order in which they are due."""
    published = [each.job for each in mark_enqueued(store, share=count, republish_seconds=1000)]
    assert len(published) == count
    return published


def leased(store: Store, owner: Token, mode: Mode = Mode.NONE, seconds: float = 60) -> Lease:
    """Hand in a submission and claim its job."""
    hand_in(store, owner, mode=mode)
    (job,) = jobs(store, 1)
    return claimed(store, job, seconds)


def claimed(store: Store, job: str, seconds: float = 60) -> Lease:
    lease = claim_lease(store, job, "worker-1", seconds, "cpu") or claim_lease(store, job, "worker-1", seconds, "gpu")
    assert lease
    return lease


def report(points: float = 1, revision: str = "revision-1") -> Report:
    item = ItemResult("relu", "7.1", "ReLU", points, 2, Verdict.PARTIAL, "right in some cases")
    return Report("hw2", "Homework 2", revision, (), (item,))


def somebody_waits(store: Store) -> bool:
    """Return whether a transaction waits for another one (PostgreSQL only)."""
    with store.read_session() as session:
        return bool(session.scalars(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).one())


def at_once(count: int, do: Callable[[], Answer]) -> list[Answer]:
    """Call a function in `count` threads that start together, and return their results."""
    start, answers, errors = threading.Barrier(count), [], []

    def one() -> None:
        start.wait()
        try:
            answers.append(do())
        except Exception as error:  # for the test to see
            errors.append(error)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    return answers

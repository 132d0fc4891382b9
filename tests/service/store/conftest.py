"""One store for each test, on SQLite and on PostgreSQL: every test runs on both."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from grader.service.settings import Settings
from grader.service.store.database import Store, make_engine, migrate
from grader.service.store.queries.tokens import Token
from grader.service.store.schema import Row
from tests.support.postgresql import PostgresServer, server
from tests.support.store_content import token


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    """A PostgreSQL server for all tests of this process."""
    with server() as running:
        yield running


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql: PostgresServer) -> str:
    """The URL of a database with all tables, used by one test after the other."""
    url = postgresql.create()
    migrate(Settings(database=url))
    return url


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
    postgresql: PostgresServer = request.getfixturevalue("postgresql")
    return replace(settings, database=postgresql.create())


@pytest.fixture
def settings(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings with a database that has all tables, and nothing in them."""
    settings = Settings(database=f"sqlite:///{tmp_path}/grader.sqlite", blobs=f"file://{tmp_path}/blobs")
    if kind == "sqlite":
        shutil.copy(request.getfixturevalue("migrated"), tmp_path / "grader.sqlite")
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

"""The database behind the store, its migrations, and the blobs beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from grader.errors import InputError, SystemFault
from grader.service.settings import Settings
from grader.service.store.blobs import Blobs

__all__ = ["MIGRATIONS", "Store", "check_migrated", "make_engine", "migrate"]

MIGRATIONS = Path(__file__).parent / "migrations"

_BUSY_SECONDS = 30  # how long a writer waits for the other writer of an SQLite file
_CONNECT_SECONDS = 5
# A PostgreSQL that says nothing is away; a process that was frozen, or its machine cut off, in the midst of a
# transaction keeps a batch to itself no longer than this.
_BOUNDED = {
    "connect_timeout": _CONNECT_SECONDS,
    "options": f"-c lock_timeout={_BUSY_SECONDS}s -c idle_in_transaction_session_timeout={_BUSY_SECONDS}s",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": _BUSY_SECONDS * 1000,
}
_POOL = {"pool_size": 5, "max_overflow": 35, "pool_timeout": 10}  # an API has 40 threads


class Store:
    """A database and its blobs. Threads may share one; a forked process opens its own."""

    def __init__(self, engine: Engine, blobs: Blobs) -> None:
        self._engine = engine
        self._reading = engine.execution_options(sqlite_begin="DEFERRED")
        self.blobs = blobs

    @classmethod
    def open(cls, settings: Settings) -> Store:
        """Open the store that the settings name; nothing is connected to yet.

        Raises:
            InputError: a URL is none that can be used.
        """
        return cls(make_engine(settings.database), Blobs(settings.blobs))

    @property
    def url(self) -> str:
        """The database's URL without its password."""
        return _shown(self._engine.url)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Give a transaction that may write; it is committed at the end, or rolled back where something is raised.

        Raises:
            SystemFault: the database cannot be reached, or is too busy.
        """
        with _faults_named(self._engine.url), Session(self._engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Give a transaction that only reads, and so waits for no writer.

        Raises:
            SystemFault: the database cannot be reached.
        """
        with _faults_named(self._engine.url), Session(self._reading) as session:
            yield session

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def make_engine(database: str) -> Engine:
    """Return SQLAlchemy's engine for this URL, with what transactions of ours rely on.

    Raises:
        InputError: the URL is none of SQLite or PostgreSQL.
    """
    try:
        url = make_url(database)
        kind = url.get_backend_name()
        if kind == "sqlite" and url.database not in {None, "", ":memory:"}:
            engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS}, **_POOL)
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        if kind == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
            connect_args = {name: value for name, value in _BOUNDED.items() if name not in url.query}
            return create_engine(url, connect_args=connect_args, pool_pre_ping=True, **_POOL)
    except (ArgumentError, NoSuchModuleError, ValueError):
        pass  # its text may hold the password
    raise InputError("the database's URL is none; give sqlite:///file or postgresql+psycopg://user:password@host/name")


def migrate(settings: Settings) -> None:
    """Bring the tables to the version of this code, all of it or nothing.

    Raises:
        InputError: the URL is none, or the tables are of a later version.
        SystemFault: the database cannot be reached.
    """
    engine = make_engine(settings.database)
    try:
        with _faults_named(engine.url), engine.begin() as connection:
            _known_version(connection)
            command.upgrade(_alembic(connection), "head")
    finally:
        engine.dispose()


def check_migrated(store: Store) -> None:
    """Check that the tables are those of this code.

    Raises:
        InputError: they are not.
        SystemFault: the database cannot be reached.
    """
    with store.reading() as session:
        found = _known_version(session.connection())
    if found != _head():
        state = "has no tables yet" if found is None else "has the tables of an earlier version"
        raise InputError(f"{store.url} {state}; run `grader database upgrade`")


def _known_version(connection: Connection) -> str | None:
    """Return the tables' version, None where there are no tables yet."""
    found = MigrationContext.configure(connection).get_current_revision()
    known = {each.revision for each in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    if found is not None and found not in known:
        raise InputError(f"{_shown(connection.engine.url)} is of version {found}, which this grader does not know yet")
    return found


def _head() -> str | None:
    return ScriptDirectory(str(MIGRATIONS)).get_current_head()


def _alembic(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


@contextmanager
def _faults_named(url: URL) -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise  # a bug, or for the caller to make sense of
    except (DBAPIError, PoolTimeoutError) as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()
        raise SystemFault(f"the database {_shown(url)}: {reason[0] if reason else type(error).__name__}") from error


def _shown(url: URL) -> str:
    return url.render_as_string(hide_password=True)


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # Python's module would begin transactions on its own, and too late
    connection.execute("PRAGMA journal_mode = WAL")  # readers and a writer do not wait for each other
    connection.execute("PRAGMA synchronous = FULL")  # what was committed outlives a power cut
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and then writes cannot wait for another writer; one that says so at once can.
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('sqlite_begin', 'IMMEDIATE')}")

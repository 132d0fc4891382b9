"""The store: its database, the migrations of the database, and the blobs."""

from __future__ import annotations

import stat
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
# A PostgreSQL that does not answer counts as away. A process that freezes or loses its network within a transaction
# holds its locks no longer than this.
_CONNECT_ARGUMENTS = {
    "connect_timeout": _CONNECT_SECONDS,
    "options": f"-c lock_timeout={_BUSY_SECONDS}s -c idle_in_transaction_session_timeout={_BUSY_SECONDS}s",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": _BUSY_SECONDS * 1000,
}
_POOL = {"pool_size": 5, "max_overflow": 35, "pool_timeout": 10}  # the API has 40 threads


class Store:
    """A database and its blobs. Threads may share a store; a forked process has to open its own."""

    def __init__(self, engine: Engine, blobs: Blobs) -> None:
        self._engine = engine
        self._read_engine = engine.execution_options(sqlite_begin="DEFERRED")
        self.blobs = blobs

    @classmethod
    def open(cls, settings: Settings) -> Store:
        """Open the store that the settings name. It connects when it is first used.

        Raises:
            InputError: a URL cannot be used.
        """
        return cls(make_engine(settings.database), Blobs(settings.blobs))

    @property
    def url(self) -> str:
        """The database's URL without its password."""
        return _hide_password(self._engine.url)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Open a transaction that may write. It is committed at the end, and rolled back if an exception is raised.

        Raises:
            SystemFault: the database cannot be reached, or is too busy.
        """
        with (
            _translate_errors(self._engine.url),
            Session(self._engine, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def read_session(self) -> Iterator[Session]:
        """Open a transaction that only reads, and therefore waits for no writer.

        Raises:
            SystemFault: the database cannot be reached.
        """
        with _translate_errors(self._engine.url), Session(self._read_engine) as session:
            yield session

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def make_engine(database: str) -> Engine:
    """Return a SQLAlchemy engine for this URL, set up as our transactions need it.

    Raises:
        InputError: the URL is not one of SQLite or PostgreSQL.
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
            connect_args = {name: value for name, value in _CONNECT_ARGUMENTS.items() if name not in url.query}
            return create_engine(url, connect_args=connect_args, pool_pre_ping=True, **_POOL)
    except (ArgumentError, NoSuchModuleError, ValueError):
        pass  # the error's text may contain the password
    raise InputError(
        "the URL of the database is not valid; give sqlite:///file or postgresql+psycopg://user:password@host/name"
    )


def migrate(settings: Settings) -> None:
    """Migrate the tables to the version of this code, completely or not at all.

    Raises:
        InputError: the URL is not valid, or the tables are of a later version.
        SystemFault: the database cannot be reached.
    """
    engine = make_engine(settings.database)
    try:
        with _translate_errors(engine.url), engine.begin() as connection:
            _find_version(connection)
            command.upgrade(_make_alembic_config(connection), "head")
        _shut_out_others(engine.url)
    finally:
        engine.dispose()


def check_migrated(store: Store) -> None:
    """Check that the tables match this code.

    Raises:
        InputError: they are not.
        SystemFault: the database cannot be reached.
    """
    with store.read_session() as session:
        version = _find_version(session.connection())
    if version != ScriptDirectory(str(MIGRATIONS)).get_current_head():
        state = "has no tables yet" if version is None else "has the tables of an earlier version"
        raise InputError(f"{store.url} {state}; run `grader database upgrade`")


def _find_version(connection: Connection) -> str | None:
    """Return the version of the tables. Return None if there are no tables yet."""
    version = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    if version is not None and version not in known:
        url = _hide_password(connection.engine.url)
        raise InputError(f"{url} is of version {version}, which this grader does not know yet")
    return version


def _shut_out_others(url: URL) -> None:
    """Let only the owner and the group of an SQLite file read it, because it holds installation keys."""
    if url.get_backend_name() == "sqlite" and url.database:
        file = Path(url.database)
        file.chmod(stat.S_IMODE(file.stat().st_mode) & ~stat.S_IRWXO)


def _make_alembic_config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


@contextmanager
def _translate_errors(url: URL) -> Iterator[None]:
    """Turn the database's errors into a SystemFault, except violated constraints."""
    try:
        yield
    except IntegrityError:
        raise  # a bug, or for the caller to handle
    except (DBAPIError, PoolTimeoutError) as error:
        lines = str(getattr(error, "orig", None) or error).strip().splitlines()
        reason = lines[0] if lines else type(error).__name__
        raise SystemFault(f"the database {_hide_password(url)}: {reason}") from error


def _hide_password(url: URL) -> str:
    return url.render_as_string(hide_password=True)


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # Python's sqlite3 would begin transactions by itself, and too late
    connection.execute("PRAGMA journal_mode = WAL")  # readers and the writer do not wait for each other
    connection.execute("PRAGMA synchronous = FULL")  # committed data survives a power failure
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that begins by reading cannot wait for another writer later. One that begins as a writer can.
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('sqlite_begin', 'IMMEDIATE')}")

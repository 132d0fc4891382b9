"""The database: waiting transactions, clear errors, reversible migrations."""

from __future__ import annotations

import shutil
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import func, inspect, select, text, update

from grader.errors import InputError, SystemFault
from grader.service.settings import Settings
from grader.service.store.database import MIGRATIONS, Store, check_migrated, make_engine, migrate
from grader.service.store.queries.keys import find_current_key
from grader.service.store.queries.queue import mark_enqueued
from grader.service.store.queries.tokens import Role
from grader.service.store.schema import JobRow, Row, SubmissionFileRow, SubmissionRow, TokenRow
from tests.support.store_content import token
from tests.support.threads import at_once


def test_the_migrations_make_the_tables_of_the_code(empty: Settings) -> None:
    migrate(empty)
    engine = make_engine(empty.database)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Row.metadata) == []
        names = {index["name"] for index in inspect(connection).get_indexes("grading")}
    engine.dispose()
    assert "uq_grading_newest" in names


def test_migrating_again_changes_nothing(settings: Settings, store: Store) -> None:
    token(store, "Kim's class")
    migrate(settings)
    check_migrated(store)
    with store.read_session() as session:
        assert session.scalars(select(TokenRow.name)).all() == ["Kim's class"]


def test_a_migration_can_be_undone_and_done_again(empty: Settings) -> None:
    migrate(empty)
    engine = make_engine(empty.database)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]
    engine.dispose()
    migrate(empty)


def test_a_database_without_tables_says_what_to_run(empty: Settings) -> None:
    store = Store.open(empty)
    with pytest.raises(InputError, match="run `grader database upgrade`"):
        check_migrated(store)
    store.close()


def test_what_was_handed_in_before_version_4_are_notebooks(
    empty: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, earlier)
    for version in (4, 5, 6):
        (earlier / "versions" / f"version_{version}.py").unlink()
    with monkeypatch.context() as patched:
        patched.setattr("grader.service.store.database.MIGRATIONS", earlier)
        migrate(empty)
    store = Store.open(empty)
    with store.session() as session:
        for statement in (
            "INSERT INTO token (id, name, role, person, sha256, created_at) VALUES ('t', 't', 'ci', '', 't', 0)",
            "INSERT INTO batch (id, owner, assignment, mode, title, created_at, request) "
            "VALUES ('b', 't', 'hw2', 'none', '', 0, '')",
            "INSERT INTO submission (id, batch, key, name, identifiers, person) VALUES ('s', 'b', 'k', 'k', '{}', '')",
            "INSERT INTO submission_file (submission, position, name, sha256) VALUES ('s', 0, 'a.ipynb', '')",
        ):
            session.execute(text(statement))
    migrate(empty)
    with store.read_session() as session:
        assert session.get_one(SubmissionRow, "s").notices == []
        assert session.get_one(SubmissionFileRow, ("s", 0)).is_notebook is True
    store.close()


def test_what_waited_before_version_6_waits_for_the_queue_of_its_stage(
    empty: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, earlier)
    (earlier / "versions" / "version_6.py").unlink()
    with monkeypatch.context() as patched:
        patched.setattr("grader.service.store.database.MIGRATIONS", earlier)
        migrate(empty)
    store = Store.open(empty)
    columns = "id, submission, newest, assignment, mode, stage, state, attempts, fence, worker, publications, message"
    with store.session() as session:
        for statement in (
            "INSERT INTO token (id, name, role, person, sha256, created_at) VALUES ('t', 't', 'ci', '', 't', 0)",
            "INSERT INTO batch (id, owner, assignment, mode, title, created_at, request) "
            "VALUES ('b', 't', 'hw2', 'full', '', 0, '')",
            "INSERT INTO submission (id, batch, key, name, identifiers, person) VALUES ('s', 'b', 'k', 'k', '{}', '')",
            "INSERT INTO submission (id, batch, key, name, identifiers, person) VALUES ('r', 'b', 'l', 'l', '{}', '')",
        ):
            session.execute(text(statement))
        for job, submission, stage in (("first", "s", "definitions"), ("second", "r", "trainings")):
            session.execute(
                text(
                    f"INSERT INTO grading ({columns}, refused, created_at) VALUES "
                    f"('{job}', '{submission}', true, 'hw2', 'full', '{stage}', 'waiting', 0, 1, '', 0, '', false, 0)"
                )
            )
    migrate(empty)
    assert {job.job: job.queue for job in mark_enqueued(store, 9, 1000)} == {"first": "cpu", "second": "gpu"}
    with store.read_session() as session:
        assert session.get_one(JobRow, "second").device_faults == 0
    store.close()


NEXT_VERSION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "next", "6"


def upgrade():
    op.add_column("batch", sa.Column("note", sa.Text(), nullable=True))
"""


def test_a_database_of_an_earlier_version_is_named_and_upgraded(
    empty: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(empty)
    later = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, later)
    (later / "versions" / "version_next.py").write_text(NEXT_VERSION)
    monkeypatch.setattr("grader.service.store.database.MIGRATIONS", later)
    store = Store.open(empty)
    with pytest.raises(InputError, match="earlier version; run `grader database upgrade`"):
        check_migrated(store)
    migrate(empty)
    check_migrated(store)
    with store.read_session() as session:
        assert "note" in {column["name"] for column in inspect(session.connection()).get_columns("batch")}
    store.close()


def test_a_database_of_a_later_version_is_left_alone(empty: Settings) -> None:
    migrate(empty)
    store = Store.open(empty)
    with store.session() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '999'"))
    with pytest.raises(InputError, match="version 999"):
        check_migrated(store)
    with pytest.raises(InputError, match="version 999"):
        migrate(empty)
    store.close()


def test_the_file_of_a_database_is_closed_to_others(tmp_path: Path) -> None:
    """It holds the installation keys."""
    file = tmp_path / "grader.sqlite"
    file.touch()
    file.chmod(0o664)
    settings = Settings(database=f"sqlite:///{file}")
    migrate(settings)
    assert stat.S_IMODE(file.stat().st_mode) == 0o660
    store = Store.open(settings)
    find_current_key(store)
    assert {stat.S_IMODE(path.stat().st_mode) & 0o007 for path in tmp_path.iterdir()} == {0}
    store.close()


def test_a_transaction_that_raises_leaves_nothing(store: Store) -> None:
    def half() -> None:
        with store.session() as session:
            session.add(TokenRow(name="half", role=Role.CI, person="", sha256=""))
            session.flush()
            raise KeyError

    with pytest.raises(KeyError):
        half()
    with store.read_session() as session:
        assert session.scalars(select(func.count()).select_from(TokenRow)).one() == 0


def test_writers_wait_for_each_other(store: Store) -> None:
    token(store, "counted")

    def count() -> None:
        for _ in range(10):
            with store.session() as session:
                row = session.scalars(select(TokenRow).with_for_update()).one()
                session.execute(update(TokenRow).values(person=str(int(row.person or 0) + 1)))

    at_once(8, count)
    with store.read_session() as session:
        assert session.scalars(select(TokenRow.person)).one() == "80"


@pytest.mark.parametrize("kind", ["postgresql"])
def test_who_falls_silent_within_a_transaction_keeps_others_waiting_for_a_while_only(settings: Settings) -> None:
    shortened = "&options=-c idle_in_transaction_session_timeout=200 -c lock_timeout=5s"
    silent = Store.open(replace(settings, database=settings.database + shortened))
    store = Store.open(settings)
    bounds = ("lock_timeout", "idle_in_transaction_session_timeout")
    with store.read_session() as session:
        assert [session.scalar(text(f"SHOW {bound}")) for bound in bounds] == ["30s", "30s"]
    token(store, "held")

    def fall_silent() -> None:
        with silent.session() as session:
            session.execute(update(TokenRow).values(person="nobody"))
            with store.session() as other:
                other.execute(update(TokenRow).values(person="somebody"))

    with pytest.raises(SystemFault, match="idle-in-transaction"):
        fall_silent()
    with store.read_session() as session:
        assert session.scalars(select(TokenRow.person)).one() == "somebody"
    silent.close()
    store.close()


def test_who_reads_waits_for_no_writer_and_keeps_none_waiting(store: Store) -> None:
    token(store, "before")
    with store.read_session() as session:
        assert session.scalars(select(TokenRow.name)).one() == "before"
        with store.session() as writing:
            writing.execute(update(TokenRow).values(name="after"))
            with store.read_session() as other:
                assert other.scalars(select(TokenRow.name)).one() == "before"
    with store.read_session() as session:
        assert session.scalars(select(TokenRow.name)).one() == "after"


def test_a_database_that_is_away_is_named_without_its_password(tmp_path: Path) -> None:
    away = "postgresql+psycopg://grader:secret@127.0.0.1:1/grader"
    store = Store.open(Settings(database=away, blobs=f"file://{tmp_path}"))
    with pytest.raises(SystemFault, match=r"grader:\*\*\*@127.0.0.1:1/grader") as fault:
        check_migrated(store)
    assert "secret" not in str(fault.value)
    assert "secret" not in store.url


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemFault, match="nowhere"):
        migrate(Settings(database=f"sqlite:///{tmp_path}/nowhere/grader.sqlite"))


@pytest.mark.parametrize("url", ["nonsense", "mysql://grader:secret@host/name", "sqlite://", "postgresql://h:secret/"])
def test_a_url_of_no_database_says_what_to_give(url: str) -> None:
    with pytest.raises(InputError, match="give sqlite:///file or postgresql") as error:
        Store.open(Settings(database=url))
    assert "secret" not in str(error.value)

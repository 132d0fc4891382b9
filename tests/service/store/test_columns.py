"""Columns store the same values on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import select, type_coerce

from grader.service.store.columns import Timestamp, now
from grader.service.store.database import Store
from grader.service.store.queries.tokens import Role
from grader.service.store.schema import TokenRow


def test_text_that_a_database_cannot_hold_is_replaced(store: Store) -> None:
    with store.session() as session:
        session.add(TokenRow(name="a\0b \ud83d 김", role=Role.CI, person="", sha256=""))
    with store.read_session() as session:
        assert session.scalars(select(TokenRow.name)).one() == "a\N{REPLACEMENT CHARACTER}b ? 김"
        assert session.scalars(select(TokenRow.id).where(TokenRow.id == "no\0id \ud83d")).all() == []


def test_a_moment_comes_back_as_it_was(store: Store) -> None:
    moment = datetime(2026, 2, 28, 23, 59, 59, 123000, UTC)
    with store.session() as session:
        session.add(TokenRow(name="old", role=Role.CI, person="", sha256="", revoked_at=moment))
    with store.read_session() as session:
        found = session.scalars(select(TokenRow.revoked_at).where(TokenRow.revoked_at < now())).one()
    assert found
    assert abs(found - moment) < timedelta(milliseconds=1)


def test_the_databases_clock_is_that_of_this_machine_and_seconds_can_be_added(store: Store) -> None:
    before = datetime.now(UTC)
    with store.read_session() as session:
        present, later = session.execute(select(now(), type_coerce(now() + 90.5, Timestamp))).one()
    tolerated = timedelta(seconds=0.01)  # SQLite counts milliseconds
    assert before - tolerated <= present <= datetime.now(UTC) + tolerated
    assert abs(later - present - timedelta(seconds=90.5)) < tolerated

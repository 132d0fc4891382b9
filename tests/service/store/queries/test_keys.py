"""Installation keys: all workers agree on one, rotating keeps the earlier ones, and none is shown."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from grader.service.store.database import Store
from grader.service.store.queries.keys import describe_keys, find_current_key, rotate_key
from grader.service.store.schema import InstallationKeyRow
from tests.support.keys import KEY

WORKERS = 8


def test_workers_that_start_at_once_agree_on_one_key(store: Store) -> None:
    with ThreadPoolExecutor(WORKERS) as threads:
        found = list(threads.map(lambda _: find_current_key(store), range(WORKERS)))
    assert len({key.secret for key in found}) == 1
    assert find_current_key(store) == found[0]
    with store.read_session() as session:
        assert session.scalar(select(func.count()).select_from(InstallationKeyRow)) == 1


def test_rotating_keeps_the_earlier_keys_and_what_they_derive(store: Store) -> None:
    first = find_current_key(store)
    second = rotate_key(store)
    assert find_current_key(store) == second != first
    status = describe_keys(store)
    assert (status.id, status.place, status.earlier) == (second.id, store.url, (first.id,))
    with store.read_session() as session:
        kept = session.get_one(InstallationKeyRow, first.id)
        assert (kept.secret, kept.current) == (first.secret, False)
        assert first.secret.hex() not in repr(kept)
        assert repr(first.secret) not in repr(kept)


def test_the_first_key_may_be_made_by_rotating(store: Store) -> None:
    assert rotate_key(store) == find_current_key(store)
    assert describe_keys(store).earlier == ()


def test_no_two_keys_are_current(store: Store) -> None:
    find_current_key(store)
    with pytest.raises(IntegrityError), store.session() as session:
        session.add(InstallationKeyRow(id=KEY.id, secret=KEY.secret, current=True))


def test_commands_that_rotate_at_once_leave_one_current_key(store: Store) -> None:
    find_current_key(store)
    with ThreadPoolExecutor(WORKERS) as threads:
        waiting = [threads.submit(rotate_key, store) for _ in range(WORKERS)]
    made = [future.result().id for future in waiting if future.exception() is None]
    status = describe_keys(store)
    assert status.id in made
    assert len(status.earlier) == len(made)

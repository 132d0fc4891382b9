"""Events: in order, and none is missed when resuming after the last one."""

from __future__ import annotations

import threading

from grader.service.store.database import Store
from grader.service.store.queries.events import find_events, record_event
from grader.service.store.queries.tokens import Token
from grader.service.store.schema import EventKind
from tests.support.store_content import hand_in, somebody_waits, token
from tests.support.threads import at_once


def write(store: Store, batch: str, number: int = 0) -> None:
    with store.session() as session:
        record_event(session, batch, None, EventKind.GRADED, {"number": number})


def test_an_event_comes_back_as_it_was(store: Store, instructor: Token) -> None:
    batch = hand_in(store, instructor)
    (accepted,) = find_events(store, batch)
    with store.session() as session:
        record_event(session, batch, None, EventKind.PUBLISHED, {"points": 1.5, "text": "점수"})
    (event,) = find_events(store, batch, after=accepted.id)
    assert (event.batch, event.submission, event.kind) == (batch, None, EventKind.PUBLISHED)
    assert event.detail == {"points": 1.5, "text": "점수"}
    assert event.at >= accepted.at


def test_a_reader_goes_on_after_the_last_one_it_saw(store: Store, instructor: Token) -> None:
    batch = hand_in(store, instructor)
    for number in range(5):
        write(store, batch, number)
    seen, last = [], find_events(store, batch)[0].id
    while page := find_events(store, batch, last, limit=2):
        seen += [event.detail["number"] for event in page]
        last = page[-1].id
    assert seen == [0, 1, 2, 3, 4]
    assert find_events(store, batch, after=2**80) == []


def test_a_batch_has_its_own_events_only(store: Store, instructor: Token) -> None:
    one, other = hand_in(store, instructor), hand_in(store, token(store, "Lee's class"))
    write(store, other)
    assert len(find_events(store, one)) == 1
    assert find_events(store, "nothing") == []


def test_who_follows_many_writers_misses_nothing(store: Store, instructor: Token) -> None:
    batch = hand_in(store, instructor)
    done = threading.Event()
    followed: list[int] = []

    def follow() -> None:
        ended = False
        while not ended:
            ended = done.is_set()  # looked at before the last look at events
            followed.extend(event.id for event in find_events(store, batch, max(followed, default=0)))

    reader = threading.Thread(target=follow)
    reader.start()

    def write_ten() -> None:
        for number in range(10):
            write(store, batch, number)

    at_once(8, write_ten)
    done.set()
    reader.join()
    assert followed == [event.id for event in find_events(store, batch)]
    assert len(followed) == 81


def test_a_later_event_is_not_seen_before_an_earlier_one(store: Store, instructor: Token, kind: str) -> None:
    batch = hand_in(store, instructor)
    with store.session() as earlier:
        record_event(earlier, batch, None, EventKind.CLAIMED)
        later = threading.Thread(target=write, args=(store, batch))
        later.start()
        # SQLite's second writer waits by design. On PostgreSQL, go on once it waits, or has overtaken.
        while kind == "postgresql" and later.is_alive() and not somebody_waits(store):
            pass
        assert len(find_events(store, batch)) == 1
    later.join()
    assert [event.kind for event in find_events(store, batch)] == [
        EventKind.ACCEPTED,
        EventKind.CLAIMED,
        EventKind.GRADED,
    ]


def test_who_records_in_one_batch_keeps_nobody_from_another(store: Store, instructor: Token, kind: str) -> None:
    one, other = hand_in(store, instructor), hand_in(store, instructor)
    with store.session() as earlier:
        record_event(earlier, one, None, EventKind.CLAIMED)
        if kind == "postgresql":
            write(store, other)
            hand_in(store, instructor)
    assert len(find_events(store, one)) == 2

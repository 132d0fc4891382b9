"""Accepting a batch: completely and once, or not at all."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from grader.errors import InputError
from grader.models.recipe import Mode
from grader.service.settings import Settings
from grader.service.store.database import Store
from grader.service.store.queries.batches import find_batches
from grader.service.store.queries.events import find_events
from grader.service.store.queries.hand_ins import IdempotencyConflict, NewSubmission, StoredBatch, accept_batch
from grader.service.store.queries.submissions import find_submissions
from grader.service.store.queries.tokens import Token
from grader.service.store.schema import EventKind, State
from tests.support.killed_transactions import killed_before_each_statement
from tests.support.store_content import token
from tests.support.threads import at_once

KIM = NewSubmission("kim", "김민수", {"canvas_id": "17"}, [("b.ipynb", b"two"), ("a.ipynb", b"one")], "kim@uni")
LEE = NewSubmission("lee", "Lee", {}, [("a.ipynb", b"one")])


def put_in(store: Store, owner: Token, given: Sequence[NewSubmission] = (KIM, LEE), key: str = "") -> StoredBatch:
    return accept_batch(store, owner, "hw2", Mode.QUICK, "Homework 2", given, key)


def test_what_was_handed_in_is_there_as_it_was(store: Store, instructor: Token) -> None:
    accepted = put_in(store, instructor)
    assert accepted.new
    (batch,) = find_batches(store)
    assert (batch.id, batch.owner, batch.owner_name) == (accepted.batch, instructor.id, instructor.name)
    assert (batch.assignment, batch.mode, batch.title) == ("hw2", Mode.QUICK, "Homework 2")
    assert batch.counts[State.WAITING] == batch.submissions == 2
    kim, lee = find_submissions(store, batch.id)
    assert (kim.key, kim.name, kim.identifiers, kim.person) == ("kim", "김민수", {"canvas_id": "17"}, "kim@uni")
    assert [(name, store.blobs.get(sha256)) for name, sha256 in kim.files] == list(KIM.files)
    assert lee.files == ((kim.files[1]),)  # the same bytes are one blob
    (event,) = find_events(store, batch.id)
    assert (event.kind, event.detail) == (EventKind.ACCEPTED, {"submissions": 2})


def test_names_that_no_database_can_hold_are_mended(store: Store, instructor: Token) -> None:
    odd = "a\0b\ud800"
    accepted = put_in(store, instructor, [NewSubmission(odd, odd, {odd: odd}, [(odd, b"")], odd)], key=odd)
    assert put_in(store, instructor, [NewSubmission(odd, odd, {odd: odd}, [(odd, b"")], odd)], key=odd).new is False
    (found,) = find_submissions(store, accepted.batch)
    mended = "a\N{REPLACEMENT CHARACTER}b?"
    assert (found.key, found.name, found.identifiers, found.person) == (mended, mended, {mended: mended}, mended)
    assert found.companions[0][0] == mended


def test_the_same_request_under_the_same_key_makes_no_second_batch(store: Store, instructor: Token) -> None:
    first = put_in(store, instructor, key="k")
    assert put_in(store, instructor, key="k") == StoredBatch(first.batch, new=False)
    assert len(find_batches(store)) == 1


def test_without_a_key_every_request_is_a_new_one(store: Store, instructor: Token) -> None:
    assert put_in(store, instructor).batch != put_in(store, instructor).batch


@pytest.mark.parametrize(
    "other",
    [
        [KIM],
        [LEE, KIM],
        [KIM, NewSubmission("lee", "Lee", {}, [("a.ipynb", b"other")])],
        [KIM, NewSubmission("lee", "Lee", {}, [("b.ipynb", b"one")])],
        [KIM, NewSubmission("lee", "Lee", {}, LEE.files, "lee@uni")],
    ],
    ids=["fewer", "order", "bytes", "name", "person"],
)
def test_another_request_under_the_same_key_is_a_conflict(
    store: Store, instructor: Token, other: Sequence[NewSubmission]
) -> None:
    put_in(store, instructor, key="k")
    with pytest.raises(IdempotencyConflict, match="'k'"):
        put_in(store, instructor, other, key="k")
    assert len(find_batches(store)) == 1


def test_keys_of_different_owners_have_nothing_to_do_with_each_other(store: Store, instructor: Token) -> None:
    other = token(store, "Lee's class")
    assert put_in(store, instructor, key="k").new
    assert put_in(store, other, [LEE], key="k").new


def test_of_eight_requests_at_once_one_makes_the_batch(store: Store, instructor: Token) -> None:
    answers = at_once(8, lambda: put_in(store, instructor, key="k"))
    assert len({answer.batch for answer in answers}) == 1
    assert [answer.new for answer in answers].count(True) == 1
    assert len(find_batches(store)) == 1


@pytest.mark.parametrize("given", [[], [KIM, KIM]], ids=["none", "twice"])
def test_a_batch_that_makes_no_sense_is_not_accepted(
    store: Store, instructor: Token, given: Sequence[NewSubmission]
) -> None:
    with pytest.raises(InputError, match="give one or more, each with a key of its own"):
        put_in(store, instructor, given)
    assert find_batches(store) == []


def test_a_student_who_handed_in_no_notebook_is_there_too(store: Store, instructor: Token) -> None:
    accepted = put_in(store, instructor, [NewSubmission("kim", "Kim")])
    assert [each.files for each in find_submissions(store, accepted.batch)] == [()]


def test_a_process_that_is_killed_while_accepting_leaves_nothing(
    settings: Settings, store: Store, instructor: Token
) -> None:
    for _ in killed_before_each_statement(store, settings, lambda other: put_in(other, instructor, key="k")):
        assert find_batches(store) == []
    assert put_in(store, instructor, key="k").new is False  # the one that was not killed
    assert len(find_submissions(store, find_batches(store)[0].id)) == 2

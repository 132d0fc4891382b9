"""The queue: fair between submitters, and one message for a job at a time."""

from __future__ import annotations

from collections import Counter

import pytest
from sqlalchemy import update

from grader.models.recipe import Mode
from grader.service.settings import Settings
from grader.service.store.columns import now
from grader.service.store.database import Store
from grader.service.store.queries.leases import (
    Finish,
    cancel_jobs,
    claim_lease,
    finish_job,
    give_back_lease,
    reconcile_leases,
    release_lease,
)
from grader.service.store.queries.queue import QueuedJob, mark_enqueued, unmark_enqueued
from grader.service.store.queries.submissions import find_submission, find_submissions
from grader.service.store.queries.tokens import Token, list_tokens
from grader.service.store.schema import JobRow
from tests.support.killed_transactions import killed_before_each_statement
from tests.support.store_content import claimed, hand_in, jobs, report, token
from tests.support.threads import at_once

LONG = 1000.0  # seconds


def names(store: Store, published: list[QueuedJob]) -> list[str]:
    """Return each job as its owner's name and its submission's key."""
    owners = {listed.token.id: listed.token.name for listed in list_tokens(store)}
    leases = [claim_lease(store, each.job, "w", LONG, each.queue) for each in published]
    found = [find_submission(store, lease.submission) for lease in leases if lease]
    return [f"{owners[each.owner]}{each.key}" for each in found if each]


@pytest.fixture
def two(store: Store) -> tuple[Token, Token]:
    return token(store, "a"), token(store, "b")


def test_each_has_its_turn_and_the_oldest_of_each_comes_first(store: Store, two: tuple[Token, Token]) -> None:
    hand_in(store, two[0], 4)
    hand_in(store, two[1], 2)
    assert names(store, mark_enqueued(store, 8, LONG)) == ["as0", "bs0", "as1", "bs1", "as2", "as3"]


def test_who_hands_in_many_does_not_make_others_wait(store: Store, two: tuple[Token, Token]) -> None:
    hand_in(store, two[0], 9)
    assert names(store, mark_enqueued(store, 3, LONG)) == ["as0", "as1", "as2"]
    hand_in(store, two[1], 1)
    assert names(store, mark_enqueued(store, 3, LONG)) == ["bs0"]


def test_at_most_a_share_is_unfinished(store: Store, instructor: Token) -> None:
    hand_in(store, instructor, 5)
    first = mark_enqueued(store, 2, LONG)
    assert len(first) == 2
    assert mark_enqueued(store, 2, LONG) == []
    lease = claimed(store, first[0].job)
    assert mark_enqueued(store, 2, LONG) == []  # being graded is unfinished as well
    finish_job(store, lease, report())
    assert len(mark_enqueued(store, 2, LONG)) == 1


def test_no_more_are_taken_than_were_asked_for(store: Store, two: tuple[Token, Token]) -> None:
    hand_in(store, two[0], 3)
    hand_in(store, two[1], 3)
    assert names(store, mark_enqueued(store, 8, LONG, limit=3)) == ["as0", "bs0", "as1"]


def test_a_message_that_nobody_took_up_is_sent_again(store: Store, instructor: Token) -> None:
    hand_in(store, instructor, 2)
    first, second = mark_enqueued(store, 2, LONG)
    claimed(store, first.job)
    assert mark_enqueued(store, 2, LONG) == []
    assert mark_enqueued(store, 2, republish_seconds=-1) == [second]  # what was taken up is not


def test_what_could_not_be_sent_is_due_at_once_and_what_was_taken_up_is_left_alone(
    store: Store, instructor: Token
) -> None:
    hand_in(store, instructor, 3)
    sent, taken_up, unsent = mark_enqueued(store, 8, LONG)
    assert claim_lease(store, taken_up.job, "w", LONG, taken_up.queue)
    unmark_enqueued(store, [taken_up, unsent])
    assert mark_enqueued(store, 8, LONG) == [unsent]
    assert sent != unsent


def test_a_message_is_sent_again_less_and_less_often(store: Store, instructor: Token) -> None:
    hand_in(store, instructor)
    assert len(mark_enqueued(store, 1, LONG)) == 1
    for sent_again, too_soon in ((0.9 * LONG, LONG + 60), (0.45 * LONG, 0.9 * LONG), (0.3 * LONG, 0.45 * LONG)):
        with store.session() as session:
            session.execute(update(JobRow).values(published_at=now() - LONG))
        assert mark_enqueued(store, 1, too_soon) == []
        assert len(mark_enqueued(store, 1, sent_again)) == 1


def test_what_met_a_fault_of_ours_is_sent_again_after_a_while(store: Store, instructor: Token) -> None:
    hand_in(store, instructor)
    (job,) = jobs(store, 1)
    give_back_lease(store, claimed(store, job), "the machine broke", 3)
    assert mark_enqueued(store, 1, LONG) == []
    assert [each.job for each in mark_enqueued(store, 1, republish_seconds=-1)] == [job]


@pytest.mark.parametrize("ended", ["released", "lost"])
def test_what_its_worker_left_is_sent_again_at_once(store: Store, instructor: Token, ended: str) -> None:
    hand_in(store, instructor)
    (job,) = jobs(store, 1)
    if ended == "released":
        release_lease(store, claimed(store, job), "the worker was stopped")
    else:
        claimed(store, job, seconds=-1)
        reconcile_leases(store, 3)
    assert jobs(store, 1) == [job]


def test_what_has_ended_is_never_sent(store: Store, instructor: Token) -> None:
    batch = hand_in(store, instructor, 3)
    (job,) = [each.job for each in mark_enqueued(store, 1, LONG)]
    finish_job(store, claimed(store, job), report())
    cancel_jobs(store, batch)
    assert mark_enqueued(store, 10, republish_seconds=-1) == []


def test_trainings_have_a_queue_and_a_share_of_their_own(store: Store, instructor: Token) -> None:
    hand_in(store, instructor, 3, Mode.FULL)
    for each in mark_enqueued(store, 2, LONG):
        assert finish_job(store, claimed(store, each.job), report()) is Finish.PART_KEPT
    # The third one's definitions do not wait for the GPU.
    assert Counter(each.queue for each in mark_enqueued(store, 2, LONG)) == {"gpu": 2, "cpu": 1}


def test_trainings_wait_for_the_queue_of_their_assignment_with_a_share_of_its_own(
    store: Store, instructor: Token
) -> None:
    hand_in(store, instructor, 3, Mode.FULL)
    for each, queue in zip(mark_enqueued(store, 3, LONG), ("gpu", "gpu-small", "gpu-small"), strict=True):
        assert finish_job(store, claimed(store, each.job), report(), trainings_queue=queue) is Finish.PART_KEPT
    assert Counter(each.queue for each in mark_enqueued(store, 1, LONG)) == {"gpu": 1, "gpu-small": 1}


def test_two_that_dispatch_at_once_never_take_the_same(store: Store, instructor: Token) -> None:
    batch = hand_in(store, instructor, 40)
    taken = [each.job for answer in at_once(8, lambda: mark_enqueued(store, 100, LONG, limit=10)) for each in answer]
    assert max(Counter(taken).values()) == 1
    taken += [each.job for each in mark_enqueued(store, 100, LONG)]
    assert len(set(taken)) == len(taken) == len(find_submissions(store, batch))


def test_enqueueing_at_once_keeps_to_the_share(store: Store, instructor: Token) -> None:
    hand_in(store, instructor, 40)
    assert sum(len(answer) for answer in at_once(8, lambda: mark_enqueued(store, 5, LONG))) == 5


def test_a_process_that_is_killed_while_dispatching_marks_nothing(
    settings: Settings, store: Store, instructor: Token
) -> None:
    hand_in(store, instructor, 2)
    for _ in killed_before_each_statement(store, settings, lambda other: mark_enqueued(other, 2, LONG)):
        pass
    # The last one lived and marked them; had an earlier one done so, there would have been nothing to mark.
    assert mark_enqueued(store, 2, LONG) == []
    assert len(mark_enqueued(store, 2, republish_seconds=-1)) == 2

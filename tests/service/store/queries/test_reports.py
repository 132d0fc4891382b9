"""Status of batches and submissions, and who may see it."""

from __future__ import annotations

import pytest

from grader.errors import SystemFault
from grader.models.recipe import Mode
from grader.service.store.database import Store
from grader.service.store.queries.attempts import find_attempts
from grader.service.store.queries.batches import find_batch, find_batches, find_visible_batch
from grader.service.store.queries.leases import finish_job, give_back_lease
from grader.service.store.queries.queue import mark_enqueued
from grader.service.store.queries.reports import load_report_text, load_stored_report
from grader.service.store.queries.submissions import find_submission, find_submissions, find_visible_submission
from grader.service.store.queries.tokens import Role, Token
from grader.service.store.queries.totals import WaitingJobs, count_totals
from grader.service.store.schema import AttemptOutcome, Stage, State
from tests.support.store_content import claimed, hand_in, jobs, leased, report, token


def test_a_batch_counts_its_submissions_by_state(store: Store, instructor: Token) -> None:
    batch_id = hand_in(store, instructor, 3)
    one, two, _ = jobs(store, 3)
    finish_job(store, claimed(store, one), report())
    claimed(store, two)
    found = find_batch(store, batch_id)
    assert found
    assert found.counts == {
        State.WAITING: 1,
        State.LEASED: 1,
        State.GRADED: 1,
        State.FAILED: 0,
        State.CANCELLED: 0,
    }
    assert (found.submissions, found.done) == (3, False)


def test_a_batch_is_done_when_every_grading_has_ended(store: Store, instructor: Token) -> None:
    lease = leased(store, instructor)
    give_back_lease(store, lease, "broke", attempts=1)
    found = find_batch(store, lease.batch)
    assert found
    assert found.done


def test_batches_come_newest_first_and_page_by_page(store: Store, instructor: Token) -> None:
    made = [hand_in(store, instructor) for _ in range(5)]
    other = hand_in(store, token(store, "Lee's class"))
    assert next(each.id for each in find_batches(store)) == other
    found: list[str] = []
    sizes = []
    while page := find_batches(store, instructor.id, after=found[-1] if found else "", limit=2):
        found += [each.id for each in page]
        sizes.append(len(page))
    assert sizes == [2, 2, 1]
    assert sorted(found) == sorted(made)


def test_submissions_come_by_key_and_page_by_page(store: Store, instructor: Token) -> None:
    batch_id = hand_in(store, instructor, 5)
    first = find_submissions(store, batch_id, limit=3)
    rest = find_submissions(store, batch_id, after=first[-1].key)
    assert [each.key for each in (*first, *rest)] == ["s0", "s1", "s2", "s3", "s4"]
    assert find_submission(store, first[0].id) == first[0]


@pytest.mark.parametrize("missing", ["", "nothing", "\0", "\ud800"], ids=["empty", "word", "NUL", "surrogate"])
def test_what_is_not_there_is_none(store: Store, instructor: Token, missing: str) -> None:
    assert find_batch(store, missing) is None
    assert find_submission(store, missing) is None
    assert load_stored_report(store, missing) is None
    assert find_submissions(store, missing) == []
    assert find_attempts(store, missing) == []
    assert find_visible_batch(store, instructor, missing) is None
    assert find_visible_submission(store, instructor, missing) is None


def test_a_report_comes_back_byte_for_byte(store: Store, instructor: Token) -> None:
    lease = leased(store, instructor)
    assert load_report_text(store, lease.submission) is None
    assert load_report_text(store, lease.submission, draft=True) is None
    finish_job(store, lease, report())
    assert load_report_text(store, lease.submission) == report().to_json()


def test_a_report_whose_blob_is_gone_is_a_fault_of_ours(store: Store, instructor: Token) -> None:
    lease = leased(store, instructor)
    finish_job(store, lease, report())
    store.blobs = type(store.blobs)("memory://another")
    with pytest.raises(SystemFault, match="is not in"):
        load_stored_report(store, lease.submission)


def test_attempts_tell_who_tried_and_how_it_ended(store: Store, instructor: Token) -> None:
    lease = leased(store, instructor)
    give_back_lease(store, lease, "the sandbox broke", 3)
    claimed(store, lease.job)
    first, second = find_attempts(store, lease.submission)
    assert (first.stage, first.number, first.worker) == (Stage.DEFINITIONS, 1, "worker-1")
    assert (first.outcome, first.message) == (AttemptOutcome.GIVEN_BACK, "the sandbox broke")
    assert first.ended_at is not None
    assert first.started_at <= first.ended_at
    assert (second.number, second.outcome, second.ended_at) == (2, None, None)


def test_who_may_see_what(store: Store, instructor: Token) -> None:
    ci, other_ci = token(store, "CI", Role.CI), token(store, "CI 2", Role.CI)
    kim, lee = token(store, "kim", Role.STUDENT, "kim"), token(store, "lee", Role.STUDENT, "lee")
    kim_too = token(store, "kim 2", Role.STUDENT, "kim")
    by_ci, by_kim = hand_in(store, ci, person="kim"), hand_in(store, kim, person="kim")
    for who, batch_ids in (
        (instructor, {by_ci, by_kim}),
        (ci, {by_ci}),
        (other_ci, set()),
        (kim, {by_kim}),
        (kim_too, set()),
        (lee, set()),
    ):
        assert {found.id for each in (by_ci, by_kim) if (found := find_visible_batch(store, who, each))} == batch_ids
    of_ci, of_kim = find_submissions(store, by_ci)[0].id, find_submissions(store, by_kim)[0].id
    for who, ids in (
        (instructor, {of_ci, of_kim}),
        (ci, {of_ci}),
        (other_ci, set()),
        (kim, {of_ci, of_kim}),
        (kim_too, {of_ci, of_kim}),
        (lee, set()),
    ):
        assert {shown.id for each in (of_ci, of_kim) if (shown := find_visible_submission(store, who, each))} == ids


def test_a_submission_of_nobody_is_no_students(store: Store, instructor: Token) -> None:
    batch_id = hand_in(store, instructor, person="")
    nobody = Token("id", "nobody", Role.STUDENT, "")
    assert find_visible_submission(store, nobody, find_submissions(store, batch_id)[0].id) is None


def test_totals_are_of_the_whole_store(store: Store, instructor: Token) -> None:
    empty = count_totals(store)
    assert (empty.reports, sum(empty.jobs.values())) == (0, 0)
    assert empty.waiting == {"cpu": WaitingJobs(), "gpu": WaitingJobs()}
    finish_job(store, leased(store, instructor), report())
    hand_in(store, instructor, 2, Mode.FULL)
    found = count_totals(store)
    assert (found.reports, found.jobs[State.GRADED], found.jobs[State.WAITING]) == (1, 1, 2)
    assert found.waiting["cpu"].count == 2
    assert found.waiting["cpu"].oldest_seconds >= 0


def test_a_queue_that_no_worker_serves_shows_by_what_waits_for_it(store: Store, instructor: Token) -> None:
    hand_in(store, instructor, 2, Mode.FULL)
    for job, queue in zip(jobs(store, 2), ("gpu-small", "gpu-large"), strict=True):
        finish_job(store, claimed(store, job), report(), trainings_queue=queue)
    claimed(store, next(job.job for job in mark_enqueued(store, 9, 1000) if job.queue == "gpu-large"))
    assert {queue: jobs.count for queue, jobs in count_totals(store).waiting.items()} == {
        "cpu": 0,
        "gpu": 0,
        "gpu-small": 1,
    }

"""Leases: one worker at a time, one report for every submission, even if workers are killed."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter

import pytest
from sqlalchemy import func, select, update

from grader.models.recipe import Mode
from grader.service.settings import Settings
from grader.service.store.columns import now
from grader.service.store.database import Store
from grader.service.store.queries.attempts import PastAttempt, find_attempts
from grader.service.store.queries.events import find_events
from grader.service.store.queries.leases import (
    Finish,
    Lease,
    Reconciled,
    cancel_jobs,
    claim_lease,
    finish_job,
    give_back_lease,
    reconcile_leases,
    record_device_fault,
    release_lease,
    renew_lease,
)
from grader.service.store.queries.reports import load_stored_report
from grader.service.store.queries.submissions import SubmissionStatus, find_submission
from grader.service.store.queries.tokens import Token
from grader.service.store.schema import AttemptOutcome, EventKind, JobRow, ReportRow, Stage, State
from tests.support.killed_transactions import killed_before_each_statement
from tests.support.store_content import claimed, hand_in, jobs, leased, report, somebody_waits, unreadable_report
from tests.support.threads import at_once

SHORT = 0.05  # seconds


def status(store: Store, lease: Lease) -> SubmissionStatus:
    found = find_submission(store, lease.submission)
    assert found
    return found


def outcomes(store: Store, lease: Lease) -> list[AttemptOutcome | None]:
    return [attempt.outcome for attempt in find_attempts(store, lease.submission)]


def kinds(store: Store, lease: Lease) -> list[EventKind]:
    return [event.kind for event in find_events(store, lease.batch)]


def reports(store: Store) -> int:
    with store.read_session() as session:
        return session.scalars(select(func.count()).select_from(ReportRow)).one()


def test_a_lease_tells_all_that_grading_needs(store: Store, instructor: Token) -> None:
    lease = leased(store, instructor, Mode.QUICK)
    assert (lease.assignment, lease.mode, lease.stage) == ("hw2", Mode.QUICK, Stage.DEFINITIONS)
    assert (lease.number, lease.fence, lease.part) == (1, 1, None)
    ((name, sha256),) = lease.files
    assert (name, store.blobs.get(sha256)) == ("a.ipynb", b"0")
    assert status(store, lease).state is State.LEASED


def test_of_eight_who_claim_one_gets_it(store: Store, instructor: Token) -> None:
    hand_in(store, instructor)
    (job,) = jobs(store, 1)
    answers = at_once(8, lambda: claim_lease(store, job, "w", 60, "cpu"))
    (lease,) = [answer for answer in answers if answer]
    assert [(attempt.number, attempt.outcome) for attempt in find_attempts(store, lease.submission)] == [(1, None)]


def test_another_queues_message_claims_nothing(store: Store, instructor: Token) -> None:
    hand_in(store, instructor)
    (job,) = jobs(store, 1)
    assert claim_lease(store, job, "w", 60, "gpu") is None
    assert claim_lease(store, "nothing", "w", 60, "cpu") is None


def test_a_report_is_kept_and_published(store: Store, instructor: Token) -> None:
    lease = leased(store, instructor)
    assert finish_job(store, lease, report(1.5)) is Finish.REPORTED
    found = status(store, lease)
    assert (found.state, found.score, found.max_score, found.draft) == (State.GRADED, 1.5, 2, False)
    assert found.published_at is not None
    assert found.ended_at is not None
    assert load_stored_report(store, lease.submission) == report(1.5)
    assert outcomes(store, lease) == [AttemptOutcome.REPORTED]
    assert kinds(store, lease) == [EventKind.ACCEPTED, EventKind.CLAIMED, EventKind.GRADED]


def test_who_finishes_twice_or_at_once_makes_one_report(store: Store, instructor: Token) -> None:
    lease = leased(store, instructor)
    answers = at_once(8, lambda: finish_job(store, lease, report()))
    assert Counter(answers) == {Finish.REPORTED: 1, Finish.REFUSED: 7}
    assert finish_job(store, lease, report()) is Finish.REFUSED
    assert reports(store) == 1
    assert kinds(store, lease).count(EventKind.GRADED) == 1


def test_a_lease_that_ran_out_is_taken_over_and_the_old_fence_is_refused(store: Store, instructor: Token) -> None:
    old = leased(store, instructor, seconds=SHORT)
    time.sleep(2 * SHORT)
    new = claim_lease(store, old.job, "worker-2", 60, "cpu")
    assert new
    assert (new.number, new.fence) == (2, 2)
    assert finish_job(store, old, report(0)) is Finish.REFUSED
    assert not renew_lease(store, old, 60)
    assert not give_back_lease(store, old, "late", 3)
    assert reports(store) == 0
    assert status(store, old).state is State.LEASED
    assert finish_job(store, new, report(2)) is Finish.REPORTED
    assert outcomes(store, old) == [AttemptOutcome.LOST, AttemptOutcome.REPORTED]


def test_a_lease_that_holds_is_not_taken_over(store: Store, instructor: Token) -> None:
    lease = leased(store, instructor, seconds=60)
    assert claim_lease(store, lease.job, "worker-2", 60, "cpu") is None
    assert reconcile_leases(store, 3) == Reconciled(0, 0)


def test_a_lease_that_is_renewed_lasts(store: Store, instructor: Token) -> None:
    lease = leased(store, instructor, seconds=SHORT)
    assert renew_lease(store, lease, 60)
    time.sleep(2 * SHORT)
    assert claim_lease(store, lease.job, "worker-2", 60, "cpu") is None
    assert reconcile_leases(store, 3) == Reconciled(0, 0)


def test_a_lease_that_ran_out_and_that_nobody_took_may_still_be_finished(store: Store, instructor: Token) -> None:
    lease = leased(store, instructor, seconds=SHORT)
    time.sleep(2 * SHORT)
    assert renew_lease(store, lease, SHORT)
    time.sleep(2 * SHORT)
    assert finish_job(store, lease, report()) is Finish.REPORTED
    assert reconcile_leases(store, 3) == Reconciled(0, 0)


def test_after_its_last_attempt_a_grading_is_not_taken_over(store: Store, instructor: Token) -> None:
    lease = leased(store, instructor, seconds=SHORT)
    time.sleep(2 * SHORT)
    assert claim_lease(store, lease.job, "worker-2", 60, "cpu", attempts=1) is None
    assert reconcile_leases(store, 1) == Reconciled(0, 1)


def test_what_is_given_back_waits_and_after_three_attempts_is_a_system_error(store: Store, instructor: Token) -> None:
    hand_in(store, instructor)
    (job,) = jobs(store, 1)
    for number in (1, 2, 3):
        lease = claimed(store, job)
        assert lease.number == number
        assert give_back_lease(store, lease, f"broke for the {number}. time\0", 3)
        assert not give_back_lease(store, lease, "again", 3)
    found = status(store, lease)
    assert (found.state, found.refused, found.attempts) == (State.FAILED, False, 3)
    assert found.message.startswith("broke for the 3. time")
    assert found.ended_at is not None
    assert claim_lease(store, lease.job, "w", 60, "cpu") is None
    assert outcomes(store, lease) == [AttemptOutcome.GIVEN_BACK] * 3
    claims = [EventKind.CLAIMED, EventKind.GIVEN_BACK] * 2 + [EventKind.CLAIMED, EventKind.FAILED]
    assert kinds(store, lease) == [EventKind.ACCEPTED, *claims]


def test_an_attempt_that_nobody_failed_at_counts_as_none(store: Store, instructor: Token) -> None:
    hand_in(store, instructor)
    for _ in range(4):
        (job,) = jobs(store, 1)
        lease = claimed(store, job)
        assert lease.number == 1
        assert release_lease(store, lease, "the worker was stopped")
        assert not release_lease(store, lease, "again")
    found = status(store, lease)
    assert (found.state, found.attempts, found.message) == (State.WAITING, 0, "the worker was stopped")
    assert outcomes(store, lease) == [AttemptOutcome.GIVEN_BACK] * 4


def test_workers_that_went_away_use_up_attempts_as_well(store: Store, instructor: Token) -> None:
    hand_in(store, instructor)
    (job,) = jobs(store, 1)
    for expected in (Reconciled(1, 0), Reconciled(1, 0), Reconciled(0, 1)):
        lease = claimed(store, job, SHORT)
        time.sleep(2 * SHORT)
        assert reconcile_leases(store, 3) == expected
        assert reconcile_leases(store, 3) == Reconciled(0, 0)
    found = status(store, lease)
    assert (found.state, found.message) == (State.FAILED, "worker-1 went away in attempt 3")
    assert outcomes(store, lease) == [AttemptOutcome.LOST] * 3


def test_several_reconcile_at_once_and_each_lease_is_given_back_once(store: Store, instructor: Token) -> None:
    hand_in(store, instructor, 10)
    leases = [claimed(store, job, SHORT) for job in jobs(store, 10)]
    time.sleep(2 * SHORT)
    answers = at_once(4, lambda: reconcile_leases(store, 3))
    assert sum(answer.given_back for answer in answers) == 10
    assert kinds(store, leases[0]).count(EventKind.GIVEN_BACK) == 10


def test_a_lease_that_is_renewed_while_somebody_reconciles_is_kept(store: Store, instructor: Token, kind: str) -> None:
    lease = leased(store, instructor, seconds=SHORT)
    time.sleep(2 * SHORT)
    answers: list[Reconciled] = []
    with store.session() as renewing:
        renewing.execute(update(JobRow).values(lease_until=now() + 60))
        other = threading.Thread(target=lambda: answers.append(reconcile_leases(store, 3)))
        other.start()
        # The other has seen that the lease ran out, and waits to change it. SQLite does not show who waits.
        while kind == "postgresql" and other.is_alive() and not somebody_waits(store):
            pass
        if kind == "sqlite":
            time.sleep(2 * SHORT)
    other.join()
    assert answers == [Reconciled(0, 0)]
    assert status(store, lease).state is State.LEASED


@pytest.mark.parametrize("mode", [Mode.NONE, Mode.FULL])
def test_a_submission_that_cannot_be_read_has_a_report_at_once(store: Store, instructor: Token, mode: Mode) -> None:
    lease = leased(store, instructor, mode)
    assert finish_job(store, lease, unreadable_report()) is Finish.REPORTED
    found = status(store, lease)
    assert (found.state, found.refused, found.message) == (State.GRADED, True, "a.ipynb: this is no notebook")
    assert (found.score, found.pending_points) == (0, 2)
    assert outcomes(store, lease) == [AttemptOutcome.REPORTED]


@pytest.mark.slow
def test_mode_full_keeps_the_first_part_and_goes_on_with_trainings(store: Store, instructor: Token) -> None:
    first = leased(store, instructor, Mode.FULL)
    assert finish_job(store, first, report(0)) is Finish.PART_KEPT
    assert reports(store) == 0
    assert claim_lease(store, first.job, "w", 60, "cpu") is None
    assert jobs(store, 1) == [first.job]
    second = claim_lease(store, first.job, "w", 60, "gpu")
    assert second
    assert (second.stage, second.number) == (Stage.TRAININGS, 1)
    assert second.part is not None
    assert store.blobs.get(second.part).decode() == report(0).to_json()
    assert finish_job(store, first, report(0)) is Finish.REFUSED
    assert finish_job(store, second, report(2)) is Finish.REPORTED
    assert status(store, first).score == 2
    assert outcomes(store, first) == [AttemptOutcome.PART_KEPT, AttemptOutcome.REPORTED]


def test_trainings_go_to_the_queue_of_their_assignment(store: Store, instructor: Token) -> None:
    first = leased(store, instructor, Mode.FULL)
    assert finish_job(store, first, report(0), trainings_queue="gpu-small") is Finish.PART_KEPT
    assert claim_lease(store, first.job, "w", 60, "gpu") is None
    assert claim_lease(store, first.job, "w", 60, "gpu-small")


def test_a_gpu_that_fails_costs_no_attempt_and_the_third_one_ends_the_job(store: Store, instructor: Token) -> None:
    hand_in(store, instructor)
    for faults in (1, 2, 3):
        (job,) = jobs(store, 1)  # due at once: another GPU may be free
        lease = claimed(store, job)
        assert (lease.number, lease.device_faults) == (1, faults - 1)
        assert record_device_fault(store, lease, f"Xid {faults}", 3)
        assert not record_device_fault(store, lease, "late", 3)
        assert status(store, lease).state is (State.WAITING if faults < 3 else State.FAILED)
    assert "a GPU failed in 3 attempts at this submission; the last time: Xid 3" in status(store, lease).message
    assert outcomes(store, lease) == [AttemptOutcome.GIVEN_BACK] * 3
    assert kinds(store, lease).count(EventKind.GIVEN_BACK) == 2
    assert kinds(store, lease)[-1] is EventKind.FAILED


def test_what_is_cancelled_is_lost_to_who_had_it(store: Store, instructor: Token) -> None:
    batch = hand_in(store, instructor, 3)
    one, two, _ = jobs(store, 3)
    done, having = claimed(store, one), claimed(store, two)
    finish_job(store, done, report())
    assert cancel_jobs(store, batch) == 2
    assert cancel_jobs(store, batch) == 0
    assert finish_job(store, having, report()) is Finish.REFUSED
    assert not renew_lease(store, having, 60)
    assert status(store, done).state is State.GRADED
    assert status(store, having).state is State.CANCELLED
    assert outcomes(store, having) == [AttemptOutcome.CANCELLED]
    assert kinds(store, having).count(EventKind.CANCELLED) == 2


def test_one_submission_is_cancelled_and_the_others_go_on(store: Store, instructor: Token) -> None:
    hand_in(store, instructor, 2)
    one, two = [claimed(store, job) for job in jobs(store, 2)]
    assert cancel_jobs(store, one.submission) == 1
    assert finish_job(store, two, report()) is Finish.REPORTED


def test_who_cancels_at_once_cancels_each_once(store: Store, instructor: Token) -> None:
    batch = hand_in(store, instructor, 20)
    assert sum(at_once(4, lambda: cancel_jobs(store, batch))) == 20


def test_cancelling_and_finishing_at_once_end_in_one_of_both(store: Store, instructor: Token) -> None:
    batch = hand_in(store, instructor, 20)
    leases = queue.SimpleQueue[Lease | None]()
    for job in jobs(store, 20):
        leases.put(claimed(store, job))
    for _ in range(2):
        leases.put(None)

    def finish_or_cancel() -> int:
        lease = leases.get()
        return int(finish_job(store, lease, report()) is Finish.REPORTED) if lease else cancel_jobs(store, batch)

    assert sum(at_once(22, finish_or_cancel)) == 20


@pytest.mark.parametrize("mode", [Mode.NONE, Mode.FULL])
def test_a_process_that_is_killed_while_finishing_changes_nothing(
    settings: Settings, store: Store, instructor: Token, mode: Mode
) -> None:
    lease = leased(store, instructor, mode)
    before = (status(store, lease), find_attempts(store, lease.submission), find_events(store, lease.batch))
    for _ in killed_before_each_statement(store, settings, lambda other: finish_job(other, lease, report())):
        assert (status(store, lease), find_attempts(store, lease.submission), find_events(store, lease.batch)) == before
    assert reports(store) == (1 if mode is Mode.NONE else 0)
    assert finish_job(store, lease, report()) is Finish.REFUSED


def test_a_process_that_is_killed_while_claiming_has_claimed_nothing(
    settings: Settings, store: Store, instructor: Token
) -> None:
    batch = hand_in(store, instructor)
    (job,) = jobs(store, 1)
    for _ in killed_before_each_statement(store, settings, lambda other: claim_lease(other, job, "w", 60, "cpu")):
        assert len(find_events(store, batch)) == 1
    (past,) = past_attempts(store, batch)
    assert past.number == 1


@pytest.mark.parametrize("most", [3, 1])
def test_a_process_that_is_killed_while_giving_back_changes_nothing(
    settings: Settings, store: Store, instructor: Token, most: int
) -> None:
    lease = leased(store, instructor)
    before = (status(store, lease), find_attempts(store, lease.submission))
    for _ in killed_before_each_statement(store, settings, lambda other: give_back_lease(other, lease, "x", most)):
        assert (status(store, lease), find_attempts(store, lease.submission)) == before
    assert status(store, lease).state is (State.FAILED if most == 1 else State.WAITING)


def past_attempts(store: Store, batch: str) -> list[PastAttempt]:
    (event,) = [event for event in find_events(store, batch) if event.kind is EventKind.CLAIMED]
    assert event.submission
    return find_attempts(store, event.submission)

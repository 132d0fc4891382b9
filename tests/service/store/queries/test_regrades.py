"""Regrading: drafts beside published reports, until they are published together."""

from __future__ import annotations

import pytest

from grader.models.recipe import Mode
from grader.service.settings import Settings
from grader.service.store.database import Store
from grader.service.store.queries.events import find_events
from grader.service.store.queries.leases import Finish, cancel_jobs, claim_lease, finish_job, give_back_lease
from grader.service.store.queries.queue import mark_enqueued
from grader.service.store.queries.regrades import RegradeChange, create_regrade, find_changes, publish_drafts
from grader.service.store.queries.reports import load_stored_report
from grader.service.store.queries.submissions import find_submissions
from grader.service.store.queries.tokens import Token
from grader.service.store.schema import EventKind, State
from tests.support.killed_transactions import killed_before_each_statement
from tests.support.store_content import claimed, hand_in, jobs, report
from tests.support.threads import at_once


def grade_all(store: Store, points: float, revision: str) -> list[Finish]:
    published = mark_enqueued(store, 1000, 1000)
    return [finish_job(store, claimed(store, each.job), report(points, revision)) for each in published]


@pytest.fixture
def graded(store: Store, instructor: Token) -> str:
    """A batch of two submissions that have one point each under revision 1."""
    batch = hand_in(store, instructor, 2)
    assert grade_all(store, 1, "1") == [Finish.REPORTED] * 2
    return batch


def scores(store: Store, batch: str) -> list[float | None]:
    return [each.score for each in find_submissions(store, batch)]


def test_a_regrades_reports_are_drafts_until_they_are_published(store: Store, graded: str) -> None:
    assert create_regrade(store, graded, "2", Mode.QUICK) == 2
    assert [each.state for each in find_submissions(store, graded)] == [State.WAITING] * 2
    assert scores(store, graded) == [1, 1]  # the published reports stay visible
    assert grade_all(store, 2, "2") == [Finish.REPORTED] * 2
    one, two = find_submissions(store, graded)
    assert (one.score, one.revision, one.draft, one.mode) == (1, "1", True, Mode.QUICK)
    assert find_changes(store, graded) == [RegradeChange(each.id, each.key, each.name, 1, 2) for each in (one, two)]
    assert load_stored_report(store, one.id) == report(1, "1")
    assert load_stored_report(store, one.id, draft=True) == report(2, "2")
    assert publish_drafts(store, graded) == 2
    assert scores(store, graded) == [2, 2]
    assert find_changes(store, graded) == []
    assert not any(each.draft for each in find_submissions(store, graded))
    assert publish_drafts(store, graded) == 0
    assert load_stored_report(store, one.id) == load_stored_report(store, one.id, draft=True) == report(2, "2")
    kinds = [event.kind for event in find_events(store, graded)]
    assert kinds.count(EventKind.REGRADE) == kinds.count(EventKind.PUBLISHED) == 2


def test_what_has_a_report_of_the_revision_is_not_graded_again(store: Store, graded: str) -> None:
    assert create_regrade(store, graded, "1", Mode.NONE) == 0


def test_what_is_being_graded_is_not_graded_twice(store: Store, graded: str) -> None:
    assert create_regrade(store, graded, "2", Mode.NONE) == 2
    assert create_regrade(store, graded, "3", Mode.NONE) == 0
    claimed(store, jobs(store, 2)[0])
    assert create_regrade(store, graded, "3", Mode.NONE) == 0


def test_who_regrades_at_once_makes_one_grading_each(store: Store, graded: str) -> None:
    assert sorted(at_once(8, lambda: create_regrade(store, graded, "2", Mode.NONE))) == [0] * 7 + [2]
    assert len(mark_enqueued(store, 100, 1000)) == 2


def test_what_failed_or_was_cancelled_is_graded_again_and_published_as_its_first(
    store: Store, instructor: Token
) -> None:
    batch = hand_in(store, instructor, 2)
    give_back_lease(store, claimed(store, jobs(store, 2)[0]), "a fault", attempts=1)
    assert cancel_jobs(store, batch) == 1
    assert create_regrade(store, batch, "1", Mode.NONE) == 2
    assert [(each.state, each.refused, each.message) for each in find_submissions(store, batch)] == [
        (State.WAITING, False, "")
    ] * 2
    grade_all(store, 2, "1")
    assert scores(store, batch) == [2, 2]
    assert find_changes(store, batch) == []


def test_only_the_newest_of_several_drafts_counts(store: Store, graded: str) -> None:
    for points, revision in ((0, "2"), (2, "3")):
        create_regrade(store, graded, revision, Mode.NONE)
        grade_all(store, points, revision)
    assert [change.new for change in find_changes(store, graded)] == [2, 2]
    assert publish_drafts(store, graded) == 2
    assert scores(store, graded) == [2, 2]
    assert find_changes(store, graded) == []  # the draft before it is out of date
    assert publish_drafts(store, graded) == 0


def test_a_worker_of_the_old_revision_makes_no_second_report_of_it(store: Store, graded: str) -> None:
    create_regrade(store, graded, "2", Mode.NONE)
    assert grade_all(store, 0, "1") == [Finish.EXISTED] * 2
    assert scores(store, graded) == [1, 1]
    assert create_regrade(store, graded, "2", Mode.NONE) == 2  # and it can be asked for again


def test_an_earlier_gradings_message_claims_nothing(store: Store, instructor: Token) -> None:
    batch = hand_in(store, instructor)
    (earlier,) = jobs(store, 1)
    cancel_jobs(store, batch)
    create_regrade(store, batch, "1", Mode.NONE)
    assert claim_lease(store, earlier, "w", 60, "cpu") is None
    assert cancel_jobs(store, batch) == 1  # only the one that is alive


def test_another_batch_is_left_alone(store: Store, graded: str, instructor: Token) -> None:
    other = hand_in(store, instructor)
    grade_all(store, 1, "1")
    assert create_regrade(store, graded, "2", Mode.NONE) == 2
    grade_all(store, 2, "2")
    assert publish_drafts(store, other) == 0
    assert find_changes(store, other) == []
    assert create_regrade(store, "nothing", "2", Mode.NONE) == publish_drafts(store, "nothing") == 0


@pytest.mark.slow
def test_a_process_that_is_killed_while_publishing_publishes_nothing(
    settings: Settings, store: Store, graded: str
) -> None:
    create_regrade(store, graded, "2", Mode.NONE)
    grade_all(store, 2, "2")
    for _ in killed_before_each_statement(store, settings, lambda other: publish_drafts(other, graded)):
        assert scores(store, graded) == [1, 1]
    assert scores(store, graded) == [2, 2]


def test_a_process_that_is_killed_while_regrading_starts_nothing(settings: Settings, store: Store, graded: str) -> None:
    for _ in killed_before_each_statement(store, settings, lambda other: create_regrade(other, graded, "2", Mode.NONE)):
        assert [each.state for each in find_submissions(store, graded)] == [State.GRADED] * 2
    assert [each.state for each in find_submissions(store, graded)] == [State.WAITING] * 2

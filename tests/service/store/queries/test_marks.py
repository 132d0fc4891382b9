"""Marks: visible to staff at once, to students once published, and kept by regrades."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from grader.errors import InputError
from grader.models.recipe import Mode
from grader.results.report import ItemResult, Report, Verdict
from grader.service.settings import Settings
from grader.service.store.database import Store
from grader.service.store.queries.events import find_events
from grader.service.store.queries.leases import finish_job
from grader.service.store.queries.marks import clear_mark, find_marks, find_unmarked, set_mark
from grader.service.store.queries.regrades import RegradeChange, create_regrade, find_changes, publish_drafts
from grader.service.store.queries.reports import load_report_text, load_stored_report
from grader.service.store.queries.submissions import SubmissionStatus, find_submission, find_submissions
from grader.service.store.queries.tokens import Token
from grader.service.store.schema import EventKind, MarkRow
from tests.support.killed_transactions import killed_before_each_statement
from tests.support.store_content import claimed, hand_in, jobs
from tests.support.threads import at_once


def written(revision: str = "1", sections: tuple[str, ...] = ("7.2", "7.1"), each: float = 1) -> Report:
    """Return a report with one point from a test, and an item to be marked by hand for each section."""
    tested = ItemResult("relu", "7.1", "ReLU", 1, 1, Verdict.PASSED, "right")
    evidence = {"kind": "discussion", "text": "because", "cells": [], "words": 1}
    waiting = [
        ItemResult(
            f"discussion.{section}",
            section,
            "Discussion",
            0,
            each,
            Verdict.PENDING,
            "waits for a person (1 word)",
            evidence=evidence,
        )
        for section in sections
    ]
    return Report("hw2", "Homework 2", revision, (), (tested, *waiting))


def grade_all(store: Store, count: int, report: Report) -> None:
    for job in jobs(store, count):
        finish_job(store, claimed(store, job), report)


@pytest.fixture
def batch(store: Store, instructor: Token) -> str:
    """A batch of two submissions, each with one of three points decided."""
    made = hand_in(store, instructor, 2)
    grade_all(store, 2, written())
    return made


@pytest.fixture
def one(store: Store, batch: str) -> str:
    """The first submission of the batch."""
    return find_submissions(store, batch)[0].id


def points(found: SubmissionStatus | None) -> tuple[float | None, float | None]:
    assert found
    return found.score, found.pending_points


def seen(store: Store, submission_id: str) -> tuple[tuple[float | None, ...], tuple[float | None, ...]]:
    """Return points and pending points as students and as staff see them, after checking that all queries agree."""
    both = []
    for all_marks in (False, True):
        status = points(find_submission(store, submission_id, all_marks=all_marks))
        report = load_stored_report(store, submission_id, all_marks=all_marks)
        assert report
        assert status == (report.score, report.pending_points)
        both.append(status)
    return both[0], both[1]


def test_a_mark_counts_for_staff_at_once_and_for_students_once_published(
    store: Store, batch: str, one: str, instructor: Token
) -> None:
    mark = set_mark(store, one, "discussion.7.1", 0.5, "say why", instructor.id)
    assert (mark.item, mark.points, mark.comment, mark.by) == ("discussion.7.1", 0.5, "say why", instructor.name)
    assert find_marks(store, one) == [mark]
    assert find_marks(store, one, published_only=True) == []
    assert seen(store, one) == ((1, 2), (1.5, 1))
    assert find_changes(store, batch) == [RegradeChange(one, "s0", "Student 0", 1, 1.5)]
    assert publish_drafts(store, batch) == 1
    assert seen(store, one) == ((1.5, 1), (1.5, 1))
    (published,) = find_marks(store, one, published_only=True)
    assert (published.points, published.comment) == (0.5, "say why")
    assert find_changes(store, batch) == []
    assert publish_drafts(store, batch) == 0


def test_a_change_of_a_published_mark_is_a_draft_again(store: Store, batch: str, one: str, instructor: Token) -> None:
    set_mark(store, one, "discussion.7.1", 0.5, "", instructor.id)
    publish_drafts(store, batch)
    set_mark(store, one, "discussion.7.1", 1, "", instructor.id)
    assert seen(store, one) == ((1.5, 1), (2, 1))
    assert find_changes(store, batch) == [RegradeChange(one, "s0", "Student 0", 1.5, 2)]
    publish_drafts(store, batch)
    assert seen(store, one) == ((2, 1), (2, 1))


def test_a_mark_can_be_taken_back_before_and_after_it_is_published(
    store: Store, batch: str, one: str, instructor: Token
) -> None:
    set_mark(store, one, "discussion.7.1", 0.5, "", instructor.id)
    assert clear_mark(store, one, "discussion.7.1")
    assert not clear_mark(store, one, "discussion.7.1")
    assert seen(store, one) == ((1, 2), (1, 2))
    assert publish_drafts(store, batch) == 0
    set_mark(store, one, "discussion.7.1", 0.5, "", instructor.id)
    publish_drafts(store, batch)
    assert clear_mark(store, one, "discussion.7.1")
    assert seen(store, one) == ((1.5, 1), (1, 2))
    assert publish_drafts(store, batch) == 1
    assert seen(store, one) == ((1, 2), (1, 2))
    with store.read_session() as session:
        assert session.scalars(select(func.count()).select_from(MarkRow)).one() == 0


def test_no_points_are_a_mark_too(store: Store, one: str, instructor: Token) -> None:
    set_mark(store, one, "discussion.7.1", 0, "nothing was written", instructor.id)
    assert seen(store, one)[1] == (1, 1)
    report = load_stored_report(store, one, all_marks=True)
    assert report
    assert [item.verdict for item in report.items] == [Verdict.PASSED, Verdict.PENDING, Verdict.FAILED]


def test_what_has_no_marks_is_the_report_as_it_was_kept(store: Store, one: str) -> None:
    assert load_report_text(store, one) == written().to_json()


@pytest.mark.parametrize(("item", "given"), [("relu", 1), ("nothing", 1), ("discussion.7.1", 1.5), ("\0", 1)])
def test_what_does_not_fit_is_refused_and_changes_nothing(
    store: Store, batch: str, one: str, instructor: Token, item: str, given: float
) -> None:
    with pytest.raises(InputError):
        set_mark(store, one, item, given, "", instructor.id)
    assert find_marks(store, one) == []
    assert EventKind.MARKED not in [event.kind for event in find_events(store, batch)]


def test_what_was_never_graded_or_is_not_there_has_nothing_to_mark(store: Store, instructor: Token) -> None:
    waiting = find_submissions(store, hand_in(store, instructor))[0].id
    with pytest.raises(InputError, match="no item that a person marks"):
        set_mark(store, waiting, "discussion.7.1", 1, "", instructor.id)
    for call in (lambda: set_mark(store, "no", "i", 1, "", instructor.id), lambda: clear_mark(store, "no", "i")):
        with pytest.raises(InputError, match="no submission 'no'"):
            call()


def test_what_waits_is_listed_item_by_item(store: Store, batch: str, instructor: Token) -> None:
    first, second = find_submissions(store, batch)
    everything = [(each.item, each.submission, each.key, each.name) for each in find_unmarked(store, batch)]
    assert everything == [
        (item, each.id, each.key, each.name)
        for item in ("discussion.7.2", "discussion.7.1")
        for each in (first, second)
    ]
    set_mark(store, first.id, "discussion.7.2", 0, "", instructor.id)
    assert [(each.key, each.item) for each in find_unmarked(store, batch)] == [
        ("s1", "discussion.7.2"),
        ("s0", "discussion.7.1"),
        ("s1", "discussion.7.1"),
    ]
    clear_mark(store, first.id, "discussion.7.2")
    assert len(find_unmarked(store, batch)) == 4
    assert find_unmarked(store, "nothing") == []


def test_marks_survive_a_regrade(store: Store, batch: str, one: str, instructor: Token) -> None:
    set_mark(store, one, "discussion.7.1", 0.5, "", instructor.id)
    publish_drafts(store, batch)
    create_regrade(store, batch, "2", Mode.NONE)
    grade_all(store, 2, written("2", ("7.1", "7.3")))
    assert [(each.key, each.item) for each in find_unmarked(store, batch)] == [
        ("s1", "discussion.7.1"),
        ("s0", "discussion.7.3"),
        ("s1", "discussion.7.3"),
    ]
    assert publish_drafts(store, batch) == 2
    assert seen(store, one) == ((1.5, 1), (1.5, 1))


def test_a_mark_whose_item_gives_fewer_points_now_waits_again(
    store: Store, batch: str, one: str, instructor: Token
) -> None:
    set_mark(store, one, "discussion.7.1", 1, "", instructor.id)
    create_regrade(store, batch, "2", Mode.NONE)
    grade_all(store, 2, written("2", each=0.5))
    assert find_changes(store, batch)[0].new == 1
    publish_drafts(store, batch)
    assert seen(store, one) == ((1, 1), (1, 1))
    assert ("s0", "discussion.7.1") in [(each.key, each.item) for each in find_unmarked(store, batch)]


def test_whatever_changes_a_mark_changes_what_tells_the_marks_apart(
    store: Store, one: str, batch: str, instructor: Token
) -> None:
    def version() -> str:
        found = find_submission(store, one, all_marks=True)
        assert found
        return found.marks

    versions = [version()]
    for item, comment in (("discussion.7.1", ""), ("discussion.7.2", ""), ("discussion.7.1", "why?")):
        set_mark(store, one, item, 1, comment, instructor.id)
        versions.append(version())
    clear_mark(store, one, "discussion.7.1")
    versions.append(version())
    assert versions[0] == ""
    assert len(set(versions)) == len(versions)


def test_who_marks_at_once_leaves_one_mark_and_no_one_waits_forever(
    store: Store, batch: str, one: str, instructor: Token
) -> None:
    def mark_and_publish() -> None:
        set_mark(store, one, "discussion.7.1", 0.5, "", instructor.id)
        publish_drafts(store, batch)

    at_once(6, mark_and_publish)
    assert seen(store, one) == ((1.5, 1), (1.5, 1))


def test_a_mark_is_an_event_that_tells_no_points(store: Store, batch: str, one: str, instructor: Token) -> None:
    set_mark(store, one, "discussion.7.1", 0.5, "secret", instructor.id)
    clear_mark(store, one, "discussion.7.1")
    told = [event for event in find_events(store, batch) if event.kind is EventKind.MARKED]
    assert [(event.submission, event.detail) for event in told] == [
        (one, {"item": "discussion.7.1"}),
        (one, {"item": "discussion.7.1", "cleared": True}),
    ]


@pytest.mark.slow
def test_a_process_that_is_killed_while_marking_marks_nothing(
    settings: Settings, store: Store, batch: str, one: str, instructor: Token
) -> None:
    mark = lambda other: set_mark(other, one, "discussion.7.1", 1, "", instructor.id)  # noqa: E731
    for _ in killed_before_each_statement(store, settings, mark):
        assert find_marks(store, one) == []
        assert EventKind.MARKED not in [event.kind for event in find_events(store, batch)]
    assert seen(store, one)[1] == (2, 1)

"""Marks of a person: what they turn an item into, and which are refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from grader.errors import InputError
from grader.results.marks import Mark, add_marks, check_mark
from grader.results.report import ItemResult, Report, Verdict

WRITTEN = {"kind": "discussion", "text": "two words", "cells": [], "words": 2}
TESTED = ItemResult("relu", "7.1", "ReLU", 2, 2, Verdict.PASSED, "right")
WAITING = ItemResult(
    "discussion.7.1", "7.1", "Discussion", 0, 0.75, Verdict.PENDING, "waits for a person (2 words)", evidence=WRITTEN
)
REPORT = Report("hw2", "Homework 2", "1", (), (TESTED, WAITING))


def mark(points: float, comment: str = "", item: str = "discussion.7.1") -> Mark:
    return Mark(item, points, comment, "Kim", datetime.now(UTC))


@pytest.mark.parametrize(("points", "verdict"), [(0.75, Verdict.PASSED), (0.5, Verdict.PARTIAL), (0, Verdict.FAILED)])
def test_points_decide_the_verdict(points: float, verdict: Verdict) -> None:
    report = add_marks(REPORT, [mark(points, "think of the borders")])
    _, item = report.items
    assert (item.points, item.verdict, item.message) == (points, verdict, "think of the borders")
    assert item.evidence == WRITTEN
    assert (report.score, report.pending_points) == (2 + points, 0)


def test_without_a_comment_it_says_who_decided() -> None:
    assert add_marks(REPORT, [mark(0.75, " \n")]).items[1].message == "marked by a person"


def test_a_report_has_the_marks_that_it_was_given_last_and_no_other() -> None:
    first = add_marks(REPORT, [mark(0.75)])
    assert add_marks(first, [mark(0.25)]) == add_marks(REPORT, [mark(0.25)])
    assert add_marks(first, []) == REPORT
    assert Report.from_json(first.to_json()) == first


def test_what_tests_could_not_decide_is_marked_and_says_why_it_waits_until_then() -> None:
    why = "right by its own word, which a person has to check"
    undecided = ItemResult("lenet", "7.6", "LeNet", 0, 4, Verdict.PENDING, why, evidence={"awaits_person": why})
    report = Report("hw2", "Homework 2", "1", (), (undecided,))
    (item,) = add_marks(report, [mark(4, "it is a LeNet", "lenet")]).items
    assert (item.points, item.verdict, item.message) == (4, Verdict.PASSED, "it is a LeNet")
    assert add_marks(add_marks(report, [mark(4, "", "lenet")]), []) == report


def test_what_tests_judge_is_no_persons_to_mark() -> None:
    assert add_marks(REPORT, [mark(0, item="relu"), mark(0, item="nothing")]) == REPORT


def test_a_mark_that_the_item_has_no_place_for_any_more_leaves_it_waiting() -> None:
    assert add_marks(REPORT, [mark(1)]) == REPORT


@pytest.mark.parametrize("points", [-0.25, 0.76, float("nan"), float("inf")])
def test_points_that_the_item_does_not_give_are_refused(points: float) -> None:
    with pytest.raises(InputError, match=r"discussion.7.1 gives from 0 to 0.75 points"):
        check_mark("discussion.7.1", points, "", 0.75)


def test_what_is_no_item_of_a_person_and_what_is_too_long_is_refused() -> None:
    with pytest.raises(InputError, match="'relu' is no item that a person marks"):
        check_mark("relu", 1, "", None)
    with pytest.raises(InputError, match="shorten it to 2,000"):
        check_mark("discussion.7.1", 0.5, "a" * 2001, 0.75)
    check_mark("discussion.7.1", 0.75, "a" * 2000, 0.75)

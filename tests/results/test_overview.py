"""The overview of a class: every number is checked against numpy, or was counted by hand."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from grader.results.journal import JournalRecord, Status
from grader.results.overview import summarise
from grader.results.report import File, ItemResult, Report, Verdict

MAXIMA = {"a": 4.0, "b": 6.0, "c": 10.0}


def item(name: str, share: float | None, message: str = "", misconception: str | None = None) -> ItemResult:
    """Return an item of which this share was earned, None for one that is pending."""
    verdict = {None: Verdict.PENDING, 0.0: Verdict.FAILED, 1.0: Verdict.PASSED}.get(share, Verdict.PARTIAL)
    points = MAXIMA[name] * (share or 0)
    return ItemResult(name, "7.1", f"Item {name}", points, MAXIMA[name], verdict, message, misconception=misconception)


def report_of(*items: ItemResult, revision: str = "r1") -> Report:
    return Report("hw2", "Homework 2", revision, (File("hw2.ipynb", "0" * 64),), items)


def record(key: str, status: Status = Status.GRADED, message: str = "", seconds: float = 1.0) -> JournalRecord:
    return JournalRecord(key, f"Name of {key}", {}, "r1", "none", status, message, f"{key}.json", seconds)


def graded(*reports: Report) -> list[tuple[JournalRecord, Report | None]]:
    return [(record(f"student-{number}"), report) for number, report in enumerate(reports)]


def a_class(size: int) -> list[list[float]]:
    """Return for every student the shares of items a, b and c; the seed is fixed."""
    generator = random.Random(5)
    return [[generator.choice((0.0, 0.5, 1.0)), generator.choice((0.0, 1.0)), 1.0] for _ in range(size)]


def reports_of(shares: Sequence[Sequence[float]]) -> list[Report]:
    return [report_of(*(item(name, share) for name, share in zip("abc", entry, strict=True))) for entry in shares]


@pytest.mark.parametrize("size", [1, 2, 3, 30, 101])
def test_the_numbers_of_a_class_are_numpy_s(size: int) -> None:
    shares = np.array(a_class(size))
    percent = 100 * shares @ np.array([4, 6, 10]) / 20
    scores = summarise(graded(*reports_of(shares.tolist()))).scores
    assert scores is not None
    quartiles = (scores.lower_quartile, scores.median, scores.upper_quartile)
    assert quartiles == pytest.approx(np.percentile(percent, [25, 50, 75]))
    assert (scores.mean, scores.deviation) == pytest.approx((percent.mean(), percent.std()))
    assert (scores.lowest, scores.highest) == pytest.approx((percent.min(), percent.max()))
    assert [entry.count for entry in scores.histogram] == np.histogram(percent, 10, (0, 100))[0].tolist()
    assert (scores.histogram[0].lowest, scores.histogram[-1].highest) == (0, 100)


def test_an_item_is_correlated_with_the_rest_and_not_with_itself() -> None:
    shares = np.array(a_class(40))
    items = {entry.id: entry for entry in summarise(graded(*reports_of(shares.tolist()))).items}
    rest = (6 * shares[:, 1] + 10 * shares[:, 2]) / 16
    assert items["a"].discrimination == pytest.approx(np.corrcoef(shares[:, 0], rest)[0, 1], abs=1e-6)
    assert items["c"].discrimination is None  # all passed it
    assert items["a"].pass_rate == pytest.approx((shares[:, 0] == 1).mean(), abs=1e-6)
    assert items["a"].mean_share == pytest.approx(shares[:, 0].mean(), abs=1e-6)


def test_two_submissions_say_nothing_about_discrimination() -> None:
    assert [entry.discrimination for entry in summarise(graded(*reports_of(a_class(2)))).items] == [None] * 3


def test_what_is_pending_counts_for_nobody_and_against_nobody() -> None:
    found = summarise(
        graded(
            report_of(item("a", 1.0), item("b", None), item("c", 1.0)),
            report_of(item("a", 0.0), item("b", 1.0), item("c", 1.0)),
            report_of(item("a", None), item("b", None), item("c", None)),
        )
    )
    assert found.scores is not None
    assert (found.scores.highest, found.scores.lowest) == (100, 80)
    assert found.pending == 2
    a, b, c = found.items
    assert (a.judged, a.pass_rate, a.mean_share, a.verdicts["pending"]) == (2, 0.5, 0.5, 1)
    assert (b.judged, b.pass_rate) == (1, 1.0)
    assert (c.judged, c.verdicts["passed"]) == (2, 2)


def test_an_item_that_nobody_was_judged_in_has_no_rate() -> None:
    (only,) = summarise(graded(report_of(item("a", None)))).items
    assert (only.judged, only.pass_rate, only.mean_share, only.discrimination) == (0, None, None, None)
    assert summarise(graded(report_of(item("a", None)))).scores is None


def test_mistakes_are_counted_by_item_the_most_frequent_first() -> None:
    wrong = item("a", 0.0, "text", "kernel_flipped")
    found = summarise(
        graded(
            report_of(wrong, item("b", 0.5, "b is odd")),
            report_of(wrong, item("b", 0.0, "b is odd")),
            report_of(item("a", 0.0, "seen once"), item("b", 0.0, "other", "kernel_flipped")),
        )
    )
    assert [(entry.reason, entry.item, entry.count) for entry in found.misconceptions] == [
        ("kernel_flipped", "a", 2),
        ("kernel_flipped", "b", 1),
    ]
    assert [(entry.item, entry.reason, entry.count) for entry in found.messages] == [("b", "b is odd", 2)]


def test_of_each_submission_the_parts_that_took_long_are_told() -> None:
    timing = {
        "cells_seconds": 2.5,
        "total_seconds": 6.0,
        "cells": [
            {"file": "hw2.ipynb", "cell": 3, "seconds": 2.0},
            {"file": "hw2.ipynb", "cell": 5, "seconds": 0.4},
            {"file": "gone.ipynb", "cell": 0, "seconds": 1.25},
        ],
    }
    report = replace(report_of(item("a", 1.0)), files=(File("hw2.ipynb", "", 9),), timing=timing)
    short = replace(report, timing={"cells_seconds": 0.05, "total_seconds": 0.09, "cells": []})
    took = [entry.took for entry in summarise(graded(report, short, replace(report, timing={}))).submissions]
    assert took == [
        (("judging", 3.5), ("hw2.ipynb, cell 4 of 9", 2.0), ("gone.ipynb, cell 1", 1.2)),
        (),
        (),
    ]


def test_who_has_no_report_is_listed_and_has_no_score() -> None:
    entries: list[tuple[JournalRecord, Report | None]] = [
        (record("kim", seconds=3), report_of(item("a", 1.0))),
        (record("lee", Status.UNREADABLE, "the file is empty", 0.1), None),
        (record("park", Status.FAILED, "killed", 9), None),
    ]
    found = summarise(entries)
    assert found.counts == {"graded": 1, "unreadable": 1, "failed": 1}
    assert [(entry.key, entry.message) for entry in (*found.unreadable, *found.failed)] == [
        ("lee", "the file is empty"),
        ("park", "killed"),
    ]
    assert [entry.key for entry in found.slowest] == ["park", "kim", "lee"]
    assert [(entry.key, entry.points, entry.max_points) for entry in found.submissions] == [
        ("kim", 4, 4),
        ("lee", None, None),
        ("park", None, None),
    ]
    assert found.scores is not None
    assert (found.scores.mean, found.scores.deviation) == (100, 0)


def test_reports_of_another_rubric_are_told() -> None:
    found = summarise(graded(*(report_of(item("a", 1.0), revision=name) for name in ("old", "new", "new"))))
    assert (found.revision, found.other_revisions) == ("new", 1)


def test_an_empty_batch_has_an_overview_too() -> None:
    found = summarise([])
    assert (found.title, found.scores, found.items) == ("", None, ())


def test_the_json_holds_everything() -> None:
    found = summarise(graded(*reports_of(a_class(5))))
    assert json.loads(found.to_json()) == json.loads(json.dumps(found.to_dict()))
    assert json.loads(found.to_json())["items"][0]["verdicts"]["absent"] == 0


def test_what_a_person_wrote_to_several_students_is_no_frequent_mistake() -> None:
    waiting = ItemResult("d", "7.1", "D", 0, 1, Verdict.FAILED, "too short", evidence={"kind": "discussion"})
    found = summarise(graded(*[report_of(item("a", 0.0, "wrong"), waiting)] * 3))
    assert [lost.reason for lost in found.messages] == ["wrong"]

"""PrairieLearn's results: a share of the points, and the items as tests."""

from __future__ import annotations

import json

from grader.render import prairielearn
from grader.render.prairielearn import render_prairielearn
from grader.results.report import File, ItemResult, Report, Verdict


def item(verdict: Verdict, points: float = 0, message: str = "is wrong") -> ItemResult:
    return ItemResult("corr2d.values", "7.2.1", "Cross-correlation", points, 6, verdict, message)


def report_of(*items: ItemResult) -> Report:
    return Report("hw2", "HW2", "revision", (File("hw2.ipynb", "0" * 64),), items)


def test_the_public_names_are_sorted() -> None:
    assert prairielearn.__all__ == sorted(prairielearn.__all__)


def test_the_score_is_a_share_and_decided_items_are_tests() -> None:
    items = (item(Verdict.PASSED, 6), item(Verdict.FAILED, 0, "\x1b[31mno\ud800"), item(Verdict.PENDING))
    values = json.loads(render_prairielearn(report_of(*items)).encode("utf-8"))
    assert values["gradable"] is True
    assert values["score"] == 6 / 18
    assert values["message"] == "6 of 18 points, 6 pending"
    failed, passed = values["tests"]
    assert (passed["name"], passed["points"], passed["max_points"]) == ("corr2d.values", 6, 6)
    assert failed["message"] == "no\ufffd"


def test_a_report_without_points_has_a_share_too() -> None:
    assert json.loads(render_prairielearn(report_of()))["score"] == 0

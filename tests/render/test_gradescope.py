"""results.json follows Gradescope's documentation: points and visibility of each item; pending items do not fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from grader.render import gradescope
from grader.render.gradescope import Visibility, render_gradescope
from grader.results.notice import Notice
from grader.results.report import CellResult, File, ItemResult, Report, Verdict

SCHEMA = json.loads(Path(__file__).with_name("gradescope.schema.json").read_text("utf-8"))
HOSTILE = '<script>\x00\x1b[31m\u202e\ud800 과제 \n"\\'


def item(verdict: Verdict, points: float = 0, name: str = "corr2d.values", **others: Any) -> ItemResult:
    values = {"message": "is wrong", **others}
    return ItemResult(name, "7.2.1", "Cross-correlation", points, 6, verdict, **values)


def report_of(*items: ItemResult, **others: Any) -> Report:
    return Report("hw2", "HW2", "revision", (File("hw2.ipynb", "0" * 64),), items, **others)


def read(text: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(text.encode("utf-8"))
    jsonschema.validate(values, SCHEMA)
    return values


def test_the_public_names_are_sorted() -> None:
    assert gradescope.__all__ == sorted(gradescope.__all__)


def test_each_item_has_its_points_and_its_message() -> None:
    report = report_of(
        item(Verdict.PASSED, 6, message="right", file="hw2.ipynb", cell=2),
        item(Verdict.PARTIAL, 0.1 + 0.2, file="hw2.ipynb", cell=3),
        timing={"total_seconds": 2.5},
    )
    values = read(render_gradescope(report))
    assert (values["score"], values["execution_time"]) == (6.3, 2.5)
    partial, passed = values["tests"]
    assert (passed["score"], passed["max_score"], passed["status"], passed["output"]) == (6, 6, "passed", "right")
    assert passed["name"] == "corr2d.values: Cross-correlation"
    assert (partial["score"], partial["status"]) == (0.3, "failed")
    assert partial["output"] == "is wrong\nhw2.ipynb, cell 4"
    assert partial["extra_data"] == {"id": "corr2d.values", "verdict": "partial"}


@pytest.mark.parametrize("verdict", Verdict)
def test_only_passed_items_have_the_status_passed_and_pending_ones_have_none(verdict: Verdict) -> None:
    (test,) = read(render_gradescope(report_of(item(verdict, 6 if verdict is Verdict.PASSED else 0))))["tests"]
    if verdict is Verdict.PENDING:
        assert not {"status", "score", "max_score"} & test.keys()
        assert test["output"] == "pending: up to 6 points\nis wrong"
    else:
        assert test["status"] == ("passed" if verdict is Verdict.PASSED else "failed")
        assert {"score", "max_score"} <= test.keys()


def test_hidden_items_have_the_chosen_visibility_and_no_total_is_shown() -> None:
    report = report_of(item(Verdict.PASSED, 6), item(Verdict.FAILED, 0, "hidden"))
    values = read(render_gradescope(report, {"hidden"}))
    assert [test["visibility"] for test in values["tests"]] == ["after_published", "visible"]
    assert "points" not in values["output"]
    rule: Visibility
    for rule in ("hidden", "after_due_date", "visible"):
        assert read(render_gradescope(report, {"hidden"}, rule))["tests"][0]["visibility"] == rule
    assert "6 of 12 points" in read(render_gradescope(report, {"hidden"}, "visible"))["output"]
    assert "6 of 12 points" in read(render_gradescope(report, {"of another assignment"}))["output"]


def test_the_general_output_is_text_and_bounded() -> None:
    cells = tuple(CellResult(HOSTILE, number, "raised", HOSTILE) for number in range(500))
    text = render_gradescope(report_of(item(Verdict.PENDING, message=HOSTILE), cells=cells, notices=(Notice(HOSTILE),)))
    values = read(text)
    assert {values["output_format"], values["test_output_format"], values["test_name_format"]} == {"text"}
    assert values["output"].endswith("and 481 more")
    assert "6 points are still to be decided" in values["output"]
    assert not set("\x1b\u202e\x00") & set(values["output"] + values["tests"][0]["output"])


def test_evidence_and_names_of_tests_stay_out() -> None:
    secret = item(Verdict.FAILED, evidence={"expected": "secret"}, tests={"test_secret": Verdict.FAILED})
    assert "secret" not in render_gradescope(report_of(secret))


def test_a_report_without_items_has_a_score() -> None:
    assert read(render_gradescope(report_of()))["score"] == 0

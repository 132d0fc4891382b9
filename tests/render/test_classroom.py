"""GitHub Classroom's result: its reporter adds up the grader's points, and no text commands its log."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from grader.render import classroom
from grader.render.classroom import render_classroom
from grader.results.report import File, ItemResult, Report, Verdict

HOSTILE = "wrong\r\n::set-output name=result::x ##[set-output name=result]x\x1b[31m\u202e\ud800 과제"


def item(verdict: Verdict, points: float = 0, message: str = "is wrong", **others: Any) -> ItemResult:
    return ItemResult("corr2d.values", "7.2.1", "Cross-correlation", points, 6, verdict, message, **others)


def report_of(*items: ItemResult) -> Report:
    return Report("hw2", "HW2", "revision", (File("hw2.ipynb", "0" * 64),), items)


def read(text: str) -> dict[str, Any]:
    """Decode a result as the reporter does."""
    values: dict[str, Any] = json.loads(base64.b64decode(text.removesuffix("\n"), validate=True).decode("utf-8"))
    return values


def test_the_public_names_are_sorted() -> None:
    assert classroom.__all__ == sorted(classroom.__all__)


def test_it_is_one_line() -> None:
    text = render_classroom(report_of(item(Verdict.FAILED, 0, HOSTILE * 50)))
    assert text.count("\n") == 1
    assert text.endswith("\n")


def test_the_reporter_adds_up_the_same_points() -> None:
    report = report_of(item(Verdict.PASSED, 6), item(Verdict.PARTIAL, 0.1 + 0.2), item(Verdict.PENDING))
    values = read(render_classroom(report))
    assert values["version"] == 3
    assert values["max_score"] == report.max_score == 18
    assert sum(test["score"] for test in values["tests"]) == report.score == 6.3


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (Verdict.PASSED, "pass"),
        (Verdict.FAILED, "fail"),
        (Verdict.PARTIAL, "fail"),
        (Verdict.ABSENT, "fail"),
        (Verdict.ERROR, "error"),
    ],
)
def test_a_test_has_a_status_that_the_reporter_knows(verdict: Verdict, status: str) -> None:
    values = read(render_classroom(report_of(item(verdict))))
    (test,) = values["tests"]
    assert test["status"] == status
    assert test["name"] == "corr2d.values: Cross-correlation"
    assert test["message"] == (None if verdict is Verdict.PASSED else "is wrong")
    assert values["status"] == ("pass" if verdict is Verdict.PASSED else "fail")


def test_pending_items_neither_fail_nor_pass() -> None:
    values = read(render_classroom(report_of(item(Verdict.PENDING), item(Verdict.PENDING))))
    assert (values["status"], values["tests"]) == ("pass", [])
    assert values["message"] == "2 items wait for a person or for a training"


def test_a_student_s_text_cannot_command_the_log() -> None:
    (test,) = read(render_classroom(report_of(item(Verdict.ERROR, 0, HOSTILE, file=HOSTILE, cell=1))))["tests"]
    for text in (test["message"], test["filename"]):
        assert "\n" not in text
        assert not {"\r", "\x1b", "\u202e", "\ud800"} & set(text)
        assert not text.startswith("::")
        assert "##[" not in text


def test_evidence_and_names_of_tests_stay_out() -> None:
    secret = item(Verdict.FAILED, evidence={"expected": "secret"}, tests={"test_secret": Verdict.FAILED})
    assert "secret" not in json.dumps(read(render_classroom(report_of(secret))))

"""Render a report for GitHub Classroom's reporter: JSON in base64, on one line."""

from __future__ import annotations

import base64
import json
from typing import Any

from grader.render.places import quote_place
from grader.render.text import defuse_commands, describe_missing_layers, sanitise_line, sanitise_text
from grader.results.reading_order import arrange, describe_mend_first
from grader.results.report import ItemResult, Report, Verdict

__all__ = ["render_classroom"]

_STATUS = {Verdict.PASSED: "pass", Verdict.ERROR: "error"}


def render_classroom(report: Report) -> str:
    """Return a report as one line for the output `result` of a step.

    Pending items neither earn nor lose points: they count in `max_score` but are not listed as tests.
    """
    report = arrange(report)
    values = report.to_dict()
    pending = sum(item.verdict is Verdict.PENDING for item in report.items)
    result = {
        "version": 3,
        "status": "pass" if report.passed else "fail",
        "message": _describe_whole(report, pending),
        "max_score": values["max_score"],
        "tests": [
            _test(report, item, written["points"])
            for item, written in zip(report.items, values["items"], strict=True)
            if item.verdict is not Verdict.PENDING
        ],
    }
    text = json.dumps(result, ensure_ascii=False, allow_nan=False)
    return base64.b64encode(text.encode("utf-8")).decode("ascii") + "\n"


def _describe_whole(report: Report, pending: int) -> str | None:
    if not report.is_readable:
        return _make_loggable(report.obstacle)
    remarks = list(map(_make_loggable, describe_mend_first(report)))
    remarks += [f"{pending} items wait for a person or for a training"] if pending else []
    remarks += [missing] if (missing := describe_missing_layers(report.missing_layers)) else []
    return "; ".join(remarks) or None


def _test(report: Report, item: ItemResult, earned: float) -> dict[str, Any]:
    said = "; ".join((item.reason, *quote_place(report, item)))
    return {
        "name": f"{sanitise_line(item.id)}: {sanitise_line(item.title)}",
        "status": _STATUS.get(item.verdict, "fail"),
        "message": None if item.verdict is Verdict.PASSED else _make_loggable(said),
        "test_code": None,
        "filename": _make_loggable(item.file) if item.file else None,
        "line_no": 0,
        "duration": 0,
        "score": earned,
        "output": None,
    }


def _make_loggable(text: str) -> str:
    """Return text that is safe in a job's log."""
    return defuse_commands(" ".join(sanitise_text(text).split()))

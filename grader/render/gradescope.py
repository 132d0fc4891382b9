"""Render a report as Gradescope's results.json."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal

from grader.render.places import describe_failed_cell, describe_notice, quote_place
from grader.render.text import describe_missing_layers, format_points, sanitise_line, sanitise_text
from grader.results.reading_order import arrange, describe_mend_first
from grader.results.report import ItemResult, Report, Verdict

__all__ = ["render_gradescope"]

Visibility = Literal["visible", "after_due_date", "after_published", "hidden"]

_MAX_LISTED = 20


def render_gradescope(report: Report, hidden: Collection[str] = (), visibility: Visibility = "after_published") -> str:
    """Return a report as results.json.

    Gradescope shows no total while a test is hidden, so the general output does not mention one then either.

    Args:
        report: the report.
        hidden: the ids of the items that the rubric hides.
        visibility: when students see these items.
    """
    report = arrange(report)
    values = report.to_dict()
    shows_all = visibility == "visible" or not any(item.id in hidden for item in report.items)
    result = {
        # Nothing is decided of a submission that cannot be read; it must not get a zero.
        **({"score": values["score"]} if report.is_readable else {}),
        **({"execution_time": report.timing["total_seconds"]} if "total_seconds" in report.timing else {}),
        "output": "\n".join(_describe(report, shows_all)),
        # By default Gradescope takes this for HTML.
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "extra_data": {"assignment": report.assignment, "revision": report.revision},
        "tests": [
            _make_test(report, item, written, visibility if item.id in hidden else "visible")
            for item, written in zip(report.items, values["items"], strict=True)
        ]
        if report.is_readable
        else [_explain(report)],
    }
    return json.dumps(result, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def _make_test(report: Report, item: ItemResult, written: Mapping[str, Any], visibility: Visibility) -> dict[str, Any]:
    output = [sanitise_text(item.reason), *quote_place(report, item)]
    test: dict[str, Any] = {"name": f"{sanitise_line(item.id)}: {sanitise_line(item.title)}"}
    if item.verdict is Verdict.PENDING:
        # With points or with a status Gradescope would count it as failed or passed.
        output.insert(0, f"pending: up to {format_points(item.max_points)} points")
    else:
        test |= {"score": written["points"], "max_score": written["max_points"]}
        test["status"] = "passed" if item.verdict is Verdict.PASSED else "failed"
    return {
        **test,
        "output": "\n".join(part for part in output if part),
        "tags": [sanitise_line(item.section)],
        "visibility": visibility,
        "extra_data": {"id": item.id, "verdict": item.verdict},
    }


def _explain(report: Report) -> dict[str, Any]:
    """Return a test without points that says why nothing was graded."""
    output = f"Nothing was graded, and no points were given or deducted: {sanitise_text(report.obstacle)}"
    return {"name": "Grading", "status": "failed", "output": output, "visibility": "visible"}


def _describe(report: Report, shows_score: bool) -> Iterator[str]:
    """Yield the lines about the whole submission."""
    if not report.is_readable:
        yield _explain(report)["output"]
        return
    if shows_score:
        yield f"{format_points(report.score)} of {format_points(report.max_score)} points"
    if shows_score:  # else they would count items that are hidden
        yield from map(sanitise_line, describe_mend_first(report))
    if report.pending_points:
        yield f"{format_points(report.pending_points)} points are still to be decided"
    lines = [describe_failed_cell(report, cell) for cell in report.failed_cells]
    lines += map(sanitise_text, report.limits_hit)
    lines += [describe_notice(report, notice) for notice in report.notices]
    if missing := describe_missing_layers(report.missing_layers):
        yield missing
    yield from lines[:_MAX_LISTED]
    if len(lines) > _MAX_LISTED:
        yield f"and {len(lines) - _MAX_LISTED:,} more"

"""The report as Gradescope's results.json."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal

from grader.render.text import describe_place, format_points, sanitise_line, sanitise_text
from grader.results.report import ItemResult, Report, Verdict

__all__ = ["render_gradescope"]

Visibility = Literal["visible", "after_due_date", "after_published", "hidden"]

_MOST_LISTED = 20


def render_gradescope(report: Report, hidden: Collection[str] = (), visibility: Visibility = "after_published") -> str:
    """Return a report as results.json.

    Gradescope shows no total while a test is not shown; nor does what is said of the whole tell one then.

    Args:
        report: what to show.
        hidden: the ids of the items that the rubric does not show.
        visibility: when students see those.
    """
    values = report.to_dict()
    is_whole = visibility == "visible" or not any(item.id in hidden for item in report.items)
    result = {
        "score": values["score"],
        **({"execution_time": report.timing["total_seconds"]} if "total_seconds" in report.timing else {}),
        "output": "\n".join(_about(report, is_whole)),
        # Gradescope takes this one for HTML where nothing is said.
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "extra_data": {"assignment": report.assignment, "revision": report.revision},
        "tests": [
            _test(item, written, visibility if item.id in hidden else "visible")
            for item, written in zip(report.items, values["items"], strict=True)
        ],
    }
    return json.dumps(result, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def _test(item: ItemResult, written: Mapping[str, Any], visibility: Visibility) -> dict[str, Any]:
    where = "" if item.verdict is Verdict.PASSED else describe_place(item.file, item.cell)
    told = [sanitise_text(item.message), where]
    test: dict[str, Any] = {"name": f"{sanitise_line(item.id)}: {sanitise_line(item.title)}"}
    if item.verdict is Verdict.PENDING:
        # With points below the most, or with a status, it would count as failed or as passed.
        told.insert(0, f"pending: up to {format_points(item.max_points)} points")
    else:
        test |= {"score": written["points"], "max_score": written["max_points"]}
        test["status"] = "passed" if item.verdict is Verdict.PASSED else "failed"
    return {
        **test,
        "output": "\n".join(part for part in told if part),
        "tags": [sanitise_line(item.section)],
        "visibility": visibility,
        "extra_data": {"id": item.id, "verdict": item.verdict},
    }


def _about(report: Report, is_whole: bool) -> Iterator[str]:
    """Say in lines what is so of the whole submission."""
    if is_whole:
        yield f"{format_points(report.score)} of {format_points(report.max_score)} points"
    if report.pending_points:
        yield f"{format_points(report.pending_points)} points are still to be decided"
    ended = [cell for cell in report.cells if cell.status != "ok"]
    told = [f"{describe_place(cell.file, cell.cell)}: {cell.status}. {sanitise_text(cell.message)}" for cell in ended]
    told += [sanitise_text(each) for each in (*report.limits_hit, *report.notices)]
    yield from told[:_MOST_LISTED]
    if len(told) > _MOST_LISTED:
        yield f"and {len(told) - _MOST_LISTED:,} more"

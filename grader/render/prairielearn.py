"""Render a report as the results.json of an external grader of PrairieLearn."""

from __future__ import annotations

import json

from grader.render.markdown import describe_score
from grader.render.places import quote_place
from grader.render.text import describe_missing_layers, sanitise_line, sanitise_text
from grader.results.reading_order import arrange, describe_mend_first
from grader.results.report import Report, Verdict

__all__ = ["render_prairielearn"]


def render_prairielearn(report: Report) -> str:
    """Return a report as results.json. Its score is the share of all points, including those of pending items."""
    report = arrange(report)
    items = zip(report.items, report.to_dict()["items"], strict=True)
    about = (describe_score(report), *map(sanitise_line, describe_mend_first(report)))
    result = {
        "gradable": report.is_readable,
        **({} if report.is_readable else {"format_errors": [sanitise_text(report.obstacle)]}),
        "score": report.score / report.max_score if report.max_score else 0,
        "message": "; ".join(filter(None, (*about, describe_missing_layers(report.missing_layers)))),
        "tests": [
            {
                "name": sanitise_line(item.id),
                "description": sanitise_line(item.title),
                "points": written["points"],
                "max_points": written["max_points"],
                "message": "\n".join((sanitise_text(item.reason), *quote_place(report, item))),
            }
            for item, written in items
            if item.verdict is not Verdict.PENDING
        ],
    }
    return json.dumps(result, ensure_ascii=False, allow_nan=False, indent=1) + "\n"

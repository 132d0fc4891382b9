"""Render a report as Markdown: a table of items, for job summaries, merge requests and issues."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from grader.render.places import describe_failed_cell, describe_notice, quote_place
from grader.render.text import MARKS, describe_missing_layers, format_points, sanitise_line, sanitise_text
from grader.results.reading_order import describe_mend_first, group_alike, order_items
from grader.results.report import ItemResult, Report

__all__ = ["describe_score", "render_markdown"]

# Markup for code, emphasis, links, HTML, columns and formulas; a colon without a blank after it may be part of a URL.
_MARKUP = re.compile(r"[\\`*_\[\]<>|~$&@#]|:(?!\s)|(?<=www)\.", re.IGNORECASE)
# Characters that start a list, a rule or a heading at the beginning of a line.
_LINE_START = re.compile(r"^(\s*)([-+=]|\d+(?=[.)]))")
_MAX_LISTED = 20


def render_markdown(report: Report, most_bytes: int | None = None) -> str:
    """Return a report as Markdown, with all markup in the student's texts escaped.

    Args:
        report: the report.
        most_bytes: the limit in bytes of UTF-8, None for no limit. Items that do not fit are counted instead.
    """
    title = f"## {_escape(sanitise_line(report.title))}"
    if not report.is_readable:
        return f"{title}\n\nNothing was graded: {_escape(sanitise_line(report.obstacle))}\n"
    mend = "".join(f"**{_escape(sanitise_line(line))}**\n\n" for line in describe_mend_first(report))
    head = f"{title}\n\n{describe_score(report)}\n\n{mend}| | Item | Points | |\n|---|---|---:|---|\n"
    tail = "".join(_render_notes(report))
    rows = [_render_row(report, item) for item in group_alike(order_items(report.items))]
    shown = len(rows) if most_bytes is None else _count_fitting(rows, most_bytes - _size(head) - _size(tail))
    if shown == len(rows):
        return head + "".join(rows) + tail
    return f"{head}{''.join(rows[:shown])}\n{len(rows) - shown} more items do not fit here.\n"


def describe_score(report: Report) -> str:
    """Return one line with the points earned and the points pending."""
    pending = f", {format_points(report.pending_points)} pending" if report.pending_points else ""
    return f"{format_points(report.score)} of {format_points(report.max_score)} points{pending}"


def _render_row(report: Report, item: ItemResult) -> str:
    parts = [_escape(line) for line in sanitise_text(item.reason).splitlines()]
    place, code = [*quote_place(report, item), "", ""][:2]
    parts += [_escape(place)] if place else []
    parts += [f"<code>{_escape(code.strip())}</code>"] if code else []
    message = "<br>".join(parts)
    earned = f"{format_points(item.points)} / {format_points(item.max_points)}"
    return f"| {MARKS[item.verdict]} {item.verdict} | {_escape(sanitise_line(item.id))} | {earned} | {message} |\n"


def _render_notes(report: Report) -> Iterator[str]:
    yield from _render_list(
        "Failed cells",
        [describe_failed_cell(report, cell) for cell in report.failed_cells],
    )
    yield from _render_list("Limits hit", report.limits_hit)
    yield from _render_list("Notices", [describe_notice(report, notice) for notice in report.notices])
    if missing := describe_missing_layers(report.missing_layers):
        yield f"\n{_escape(missing)}\n"


def _render_list(title: str, entries: Sequence[str]) -> Iterator[str]:
    if not entries:
        return
    yield f"\n**{title}**\n\n"
    yield from (f"- {_escape(sanitise_line(entry))}\n" for entry in entries[:_MAX_LISTED])
    if len(entries) > _MAX_LISTED:
        yield f"- and {len(entries) - _MAX_LISTED:,} more\n"


def _count_fitting(rows: Sequence[str], space: int) -> int:
    """Return how many rows fit, together with a line that says how many do not."""
    if _size("".join(rows)) <= space:
        return len(rows)
    space -= 100
    for number, row in enumerate(rows):
        space -= _size(row)
        if space < 0:
            return number
    return len(rows)


def _size(text: str) -> int:
    return len(text.encode("utf-8"))


def _escape(text: str) -> str:
    """Return text that Markdown shows literally."""
    escaped = _MARKUP.sub(lambda match: f"\\{match[0]}", text)
    # GitHub links mail addresses after it has removed escapes; a comment keeps it from doing so.
    return _LINE_START.sub(_escape_line_start, escaped).replace("@", "@<!-- -->")


def _escape_line_start(match: re.Match[str]) -> str:
    blank, mark = match.groups()
    return f"{blank}{mark}<!-- -->" if mark.isdigit() else f"{blank}\\{mark}"

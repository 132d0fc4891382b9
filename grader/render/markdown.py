"""The report as Markdown: a table of its items, for job summaries, merge requests and issues."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from grader.render.text import MARKS, describe_place, format_points, sanitise_line, sanitise_text
from grader.results.report import ItemResult, Report, Verdict

__all__ = ["describe_score", "render_markdown"]

# Whatever begins code, emphasis, links, HTML, columns or formulas; a colon with no blank after it may be in an address.
_COMMANDS = re.compile(r"[\\`*_\[\]<>|~$&@#]|:(?!\s)|(?<=www)\.", re.IGNORECASE)
# Whatever makes a list, a line or a heading of the text that it begins.
_BEGINNING = re.compile(r"^(\s*)([-+=]|\d+(?=[.)]))")
_MOST_LISTED = 20


def render_markdown(report: Report, most_bytes: int | None = None) -> str:
    """Return a report as Markdown in which no text of a student's is markup.

    Args:
        report: what to show.
        most_bytes: how many bytes of UTF-8 there may be; items that find no room are counted. None for no bound.
    """
    title = f"## {_inert(sanitise_line(report.title))}"
    head = f"{title}\n\n{describe_score(report)}\n\n| | Item | Points | |\n|---|---|---:|---|\n"
    tail = "".join(_notes(report))
    rows = [_row(item) for item in report.items]
    shown = len(rows) if most_bytes is None else _room(rows, most_bytes - _size(head) - _size(tail))
    if shown == len(rows):
        return head + "".join(rows) + tail
    return f"{head}{''.join(rows[:shown])}\nThere was no room for {len(rows) - shown} more items.\n"


def describe_score(report: Report) -> str:
    """Say in a line what a submission has earned, and what is still to be decided."""
    waits = f", {format_points(report.pending_points)} pending" if report.pending_points else ""
    return f"{format_points(report.score)} of {format_points(report.max_score)} points{waits}"


def _row(item: ItemResult) -> str:
    where = describe_place(item.file, item.cell) if item.verdict is not Verdict.PASSED else ""
    told = "<br>".join(_inert(part) for part in (*sanitise_text(item.message).splitlines(), where) if part)
    earned = f"{format_points(item.points)} / {format_points(item.max_points)}"
    return f"| {MARKS[item.verdict]} {item.verdict} | {_inert(sanitise_line(item.id))} | {earned} | {told} |\n"


def _notes(report: Report) -> Iterator[str]:
    ended = [each for each in report.cells if each.status != "ok"]
    yield from _listed(
        "Cells that did not end well",
        [f"{describe_place(each.file, each.cell)}: {each.status}. {each.message}" for each in ended],
    )
    yield from _listed("Limits hit", report.limits_hit)
    yield from _listed("Notices", report.notices)


def _listed(title: str, entries: Sequence[str]) -> Iterator[str]:
    if not entries:
        return
    yield f"\n**{title}**\n\n"
    yield from (f"- {_inert(sanitise_line(entry))}\n" for entry in entries[:_MOST_LISTED])
    if len(entries) > _MOST_LISTED:
        yield f"- and {len(entries) - _MOST_LISTED:,} more\n"


def _room(rows: Sequence[str], left: int) -> int:
    """Return how many rows fit, with a line after them that says how many do not."""
    if _size("".join(rows)) <= left:
        return len(rows)
    left -= 100
    for number, row in enumerate(rows):
        left -= _size(row)
        if left < 0:
            return number
    return len(rows)


def _size(text: str) -> int:
    return len(text.encode("utf-8"))


def _inert(text: str) -> str:
    """Return text that Markdown shows as it is."""
    escaped = _COMMANDS.sub(lambda found: f"\\{found[0]}", text)
    # GitHub looks for addresses of mail once escapes are gone; a comment is a border that it does not cross.
    return _BEGINNING.sub(_without_meaning, escaped).replace("@", "@<!-- -->")


def _without_meaning(found: re.Match[str]) -> str:
    blank, mark = found.groups()
    return f"{blank}{mark}<!-- -->" if mark.isdigit() else f"{blank}\\{mark}"

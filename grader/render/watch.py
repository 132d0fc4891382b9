"""The view of `grader check --watch`: a line for each item, with changes in bold and older verdicts dimmed."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from grader.render.places import describe_item_place
from grader.render.terminal import STYLES
from grader.render.text import MARKS, format_points, sanitise_line, sanitise_text
from grader.results.reading_order import describe_mend_first, order_items
from grader.results.report import ItemResult, Report, Verdict

__all__ = ["render_line", "render_live_view"]

_SETTLED = (Verdict.PASSED, Verdict.PENDING)
_OTHER_LINES = 4


def render_live_view(
    report: Report,
    kept: Collection[str],
    earlier: Mapping[str, Verdict],
    note: str,
    more: str,
    height: int,
    width: int = 80,
) -> RenderableType:
    """Return a report as a table of one line for each item, and what its lines have no space for below.

    Args:
        report: the latest report.
        kept: ids of the items whose verdicts are from an earlier state.
        earlier: the verdicts before this report.
        note: a remark about the check.
        more: hints to show below the table.
        height: the number of lines; if there are too few, settled items are left out.
        width: the number of columns.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, expand=True)
    for column in ("left", "left", "right"):
        table.add_column(justify="right" if column == "right" else "left", no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    left_out = 0
    for item in report.items:
        changed = earlier.get(item.id, item.verdict) is not item.verdict
        crowded = len(report.items) > height - _OTHER_LINES
        if item.by_person or (item.verdict in _SETTLED and not changed and crowded):
            left_out += 1
        else:
            _add_row(table, report, item, changed, item.id in kept)
    below = [Text(f"and {left_out} more that passed or are pending", "dim")] if left_out else []
    details = [] if more else list(_render_details(report, width, height - _OTHER_LINES - table.row_count))
    return Group(_render_heading(report, note), table, *below, *details, *([Text(f"\n{more}")] if more else []))


def _render_details(report: Report, width: int, space: int) -> Iterator[Text]:
    """Render the whole messages of items that lost points by themselves, as many as fit into `space` lines."""
    for item in order_items(report.items):
        if not item.has_lost or item.because_of is not None:
            continue
        place = describe_item_place(report, item)
        about = ", ".join(part for part in (sanitise_line(item.id), place) if part)
        text = Text.assemble((f"\n{about}\n", "dim"), sanitise_text(item.reason))
        space -= sum(math.ceil(max(cell_len(line), 1) / width) for line in text.plain.split("\n")) + 1
        if space < 0:
            return
        yield text


def _add_row(table: Table, report: Report, item: ItemResult, changed: bool, kept: bool) -> None:
    message = Text(sanitise_line(item.reason), "dim" if item.verdict in _SETTLED else "")
    if item.has_lost and item.because_of is None and (place := describe_item_place(report, item)):
        message = Text.assemble((f"{place}: ", "dim"), message)
    style = "dim" if kept else "bold" if changed else ""
    earned = f"{format_points(item.points)} / {format_points(item.max_points)}"
    table.add_row(
        Text(MARKS[item.verdict], STYLES[item.verdict]), Text(sanitise_line(item.id)), earned, message, style=style
    )


def _render_heading(report: Report, note: str) -> Text:
    heading = Text.assemble((_format_score(report), "bold"), (f"  {sanitise_line(note)}\n", "dim"))
    first = next(describe_mend_first(report), "")
    return heading.append(f"{sanitise_line(first)}\n", "bold yellow") if first else heading


def _format_score(report: Report) -> str:
    return f"{format_points(report.score)} / {format_points(report.max_score)} points"


def render_line(report: Report, earlier: Mapping[str, Verdict], note: str) -> str:
    """Return one line with the score and the changed verdicts, for output that is not a terminal.

    Args:
        report: the latest report.
        earlier: the verdicts before it; empty for the first report.
        note: a remark about the check.
    """
    if earlier:
        changed = [item for item in report.items if earlier.get(item.id, item.verdict) is not item.verdict]
        verdicts = [f"{sanitise_line(item.id)} {earlier[item.id]} -> {item.verdict}" for item in changed]
    else:
        wrong = [item for item in report.items if item.verdict not in _SETTLED]
        verdicts = [f"{sanitise_line(item.id)} {item.verdict}" for item in wrong]
    unchanged = "no verdict changed" if earlier else "nothing is wrong"
    return f"{_format_score(report)}  {note}: {', '.join(verdicts) or unchanged}"

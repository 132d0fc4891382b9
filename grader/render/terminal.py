"""Show a report on a terminal: compact, in colour, readable on 80 columns, and complete on 40."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from grader.render.chart import format_short
from grader.render.curves import Curves, draw_sparkline, read_curves, remove_curves
from grader.render.places import describe_failed_cell, describe_item_place, describe_notice, describe_report_place
from grader.render.terminal_evidence import render_evidence
from grader.render.text import MARKS, format_points, sanitise_line, sanitise_text
from grader.results.reading_order import describe_counts, describe_mend_first, group_alike, order_items
from grader.results.report import ItemResult, Report, Verdict

__all__ = ["STYLES", "render_terminal"]

STYLES: Mapping[Verdict, str] = {
    Verdict.PASSED: "green",
    Verdict.FAILED: "red",
    Verdict.PARTIAL: "yellow",
    Verdict.ABSENT: "red",
    Verdict.ERROR: "red",
    Verdict.PENDING: "cyan",
}
_BAR_WIDTH = 32
_SHORTEST_BAR = 8
_MAX_LINES = 20
_NARROW = 60  # columns; with fewer, an item's message stands below its id instead of beside it
_ID_WIDTH = 24
_INDENT = (0, 0, 0, 2)
_CODE_INDENT = (0, 0, 0, 6)


def render_terminal(report: Report, console: Console) -> None:
    """Print a report.

    Args:
        report: the report.
        console: the output; its width and colours are respected.
    """
    for part in _render_parts(report, console.width, has_blocks=not console.options.ascii_only):
        console.print(part)


def _render_parts(report: Report, width: int, *, has_blocks: bool) -> Iterator[RenderableType]:
    if not report.is_readable:
        yield Text(f"Nothing was graded: {sanitise_text(report.obstacle)}")
        yield _render_title(report)
        return
    yield _render_score(report, width)
    yield from (Text(sanitise_line(line), "bold yellow") for line in describe_mend_first(report))
    yield _render_title(report)
    ordered = order_items(report.items)
    blocks = [item for item in ordered if _needs_block(item)]
    for item in blocks:
        yield from _render_block(report, item, width, has_blocks=has_blocks)
    rows = group_alike([item for item in ordered if not _needs_block(item)])
    if rows:
        yield Padding(_render_rows(report, rows, width), (1, 0, 0, 0))
    for item in ordered:
        if item not in blocks and (curves := read_curves(item.evidence)):
            yield from _render_training(report, item, curves, has_blocks=has_blocks)
    yield from _list("Failed cells", [describe_failed_cell(report, cell) for cell in report.failed_cells])
    yield from _list("Limits hit", report.limits_hit)
    off = [f"{layer.name} ({layer.reason})" if layer.reason else layer.name for layer in report.layers if not layer.on]
    yield from _list("Inactive sandbox layers", [", ".join(off)] if off else [])
    yield from _list("Notices", [describe_notice(report, notice) for notice in report.notices])


def _render_score(report: Report, width: int) -> Text:
    """Render the points, a bar if there is space for it, and how many items have each verdict."""
    points = f"{format_points(report.score)} / {format_points(report.max_score)} points"
    pending = f"  {format_points(report.pending_points)} pending" if report.pending_points else ""
    share = report.score / report.max_score if report.max_score else 0.0
    bar = min(_BAR_WIDTH, width - len(points) - len(pending) - 2)
    text = Text(points, "bold")
    if bar >= _SHORTEST_BAR:
        filled = round(share * bar)
        text.append("  ").append("━" * filled, "green").append("━" * (bar - filled), "bright_black")
    text.append(pending, "cyan")
    return text.append(f"\n{describe_counts(report)}", "not bold") if report.items else text


def _render_title(report: Report) -> Text:
    title = Text(f"{sanitise_line(report.title)}  {sanitise_line(report.assignment)}", "dim")
    return title.append("".join(f"\n{sanitise_line(file.name)}" for file in report.files))


def _needs_block(item: ItemResult) -> bool:
    """Tell whether an item needs lines of its own: what lost points by itself, and has a place or evidence."""
    return item.has_lost and item.because_of is None and bool(item.file or item.evidence)


def _render_block(report: Report, item: ItemResult, width: int, *, has_blocks: bool) -> Iterator[RenderableType]:
    """Render an item that lost points: what is wrong, where, the line of code, and the evidence."""
    yield Text("\n").append_text(_render_head(item))
    yield Padding(Text(sanitise_text(item.reason)), _INDENT)
    yield Padding(Text(describe_item_place(report, item), "dim"), _INDENT)
    yield from [Padding(Text(sanitise_line(item.code), "dim"), _CODE_INDENT)] if item.code else []
    if not item.by_person:  # what a person marks is on the HTML page
        yield from (Padding(part, _INDENT) for part in render_evidence(remove_curves(item.evidence), width - 2))
    if curves := read_curves(item.evidence):
        yield from (Padding(part, _INDENT) for part in _render_curves(report, curves, has_blocks=has_blocks))


def _render_head(item: ItemResult) -> Text:
    return Text.assemble(
        (f"{MARKS[item.verdict]} {sanitise_line(item.id)}", STYLES[item.verdict]), f"  {_format_earned(item)}"
    )


def _format_earned(item: ItemResult) -> str:
    return f"{format_points(item.points)} / {format_points(item.max_points)}"


def _render_rows(report: Report, items: Sequence[ItemResult], width: int) -> Table:
    if width < _NARROW:
        return _render_narrow_rows(report, items, width)
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column()
    table.add_column(max_width=_ID_WIDTH, overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for item in items:
        table.add_row(
            Text(MARKS[item.verdict], STYLES[item.verdict]),
            Text(sanitise_line(item.id)),
            Text(_format_earned(item)),
            _render_message(report, item),
        )
    return table


def _render_narrow_rows(report: Report, items: Sequence[ItemResult], width: int) -> Table:
    """Render the message of each item beside its id if it fits there, else below."""
    table = Table(box=None, padding=0, show_header=False)
    for item in items:
        head, message = _render_head(item), _render_message(report, item)
        if "\n" not in message.plain and head.cell_len + message.cell_len + 2 <= width:
            table.add_row(head.append("  ").append_text(message))
        else:
            table.add_row(head)
            table.add_row(Padding(message, _INDENT))
    return table


def _render_message(report: Report, item: ItemResult) -> Text:
    message = Text(sanitise_text(item.reason))
    if item.verdict is Verdict.PENDING and (place := describe_item_place(report, item)):
        message.append(f"\n{place}", "dim")
    return message


def _render_training(report: Report, item: ItemResult, curves: Curves, *, has_blocks: bool) -> Iterator[RenderableType]:
    parts = list(_render_curves(report, curves, has_blocks=has_blocks))
    if parts:
        yield Text(f"\n{MARKS[item.verdict]} {sanitise_line(item.id)}", STYLES[item.verdict])
        yield from (Padding(part, _INDENT) for part in parts)


def _render_curves(report: Report, curves: Curves, *, has_blocks: bool) -> Iterator[RenderableType]:
    """Render the result of each training with its curve as a row of blocks, and remarks on the student's own loop."""
    if curves.runs:
        yield Text("; ".join(part for part in (curves.recipe, curves.evidence) if part), "dim")
    for run in curves.runs:
        has_accuracy = any(math.isfinite(value) for value in run.accuracies)
        yield Text.assemble(
            f"{curves.describe(run)}  ",
            ("" if has_accuracy else "loss ", "dim"),
            (_render_curve(run.accuracies if has_accuracy else run.losses, has_blocks), "dim"),
        )
    for own in curves.own:
        title = "From your own training loop (advisory: it ran in your process)"
        about = ": ".join(part for part in (describe_report_place(report, own.file, own.cell), own.text) if part)
        yield Text.assemble((f"{title}\n", "bold"), (about, "dim"))
        yield from (Text(f"- {finding}") for finding in own.findings)
        if own.chart:
            yield Text(f"loss {_render_curve(own.losses, has_blocks)}", "dim")


def _render_curve(values: Sequence[float], has_blocks: bool) -> str:
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ""
    return f"{format_short(finite[0])} {draw_sparkline(values) if has_blocks else 'to'} {format_short(finite[-1])}"


def _list(title: str, entries: Sequence[str]) -> Iterator[RenderableType]:
    """List entries under a title. Yield nothing if there are no entries."""
    if not entries:
        return
    yield Text(f"\n{title}", "bold")
    for entry in islice(entries, _MAX_LINES):
        yield Padding(Text(sanitise_text(entry).strip()), _INDENT)
    if len(entries) > _MAX_LINES:
        yield Padding(Text(f"and {len(entries) - _MAX_LINES:,} more", "dim"), _INDENT)

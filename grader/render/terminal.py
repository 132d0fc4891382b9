"""Show a report on a terminal: compact, in colour, readable on 80 columns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from rich.cells import cell_len
from rich.columns import Columns
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from grader.render.chart import format_short
from grader.render.curves import Curves, draw_sparkline, read_curves, remove_curves
from grader.render.evidence import Exhibit, make_exhibits
from grader.render.text import MARKS, describe_place, format_points, sanitise_line, sanitise_text
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
_MAX_LINES = 20
_INDENT = (0, 0, 0, 2)


def render_terminal(report: Report, console: Console) -> None:
    """Print a report.

    Args:
        report: the report.
        console: the output; its width and colours are respected.
    """
    for part in _render_parts(report, has_blocks=not console.options.ascii_only):
        console.print(part)


def _render_parts(report: Report, *, has_blocks: bool) -> Iterator[RenderableType]:
    yield _render_heading(report)
    if not report.is_readable:
        yield Text(f"\nNothing was graded: {sanitise_text(report.obstacle)}")
        return
    yield Padding(_render_items(report.items), (1, 0, 0, 0))
    for item in report.items:
        curves = read_curves(item.evidence)
        trainings = list(_render_trainings(curves, has_blocks=has_blocks)) if curves else []
        # Of written answers a terminal shows the verdict only; their text is on the HTML page.
        lost = item.verdict not in {Verdict.PASSED, Verdict.PENDING} and not item.by_person
        if trainings or (lost and item.evidence):
            yield _render_evidence(item, make_exhibits(remove_curves(item.evidence)) if lost else (), trainings)
    yield from _list(
        "Failed cells",
        [f"{describe_place(cell.file, cell.cell)}: {cell.status}. {cell.message}" for cell in report.failed_cells],
    )
    yield from _list("Limits hit", report.limits_hit)
    off = [f"{layer.name} ({layer.reason})" if layer.reason else layer.name for layer in report.layers if not layer.on]
    yield from _list("Inactive sandbox layers", [", ".join(off)] if off else [])
    yield from _list("Notices", [str(notice) for notice in report.notices])


def _render_heading(report: Report) -> Text:
    title = Text.assemble((sanitise_line(report.title), "bold"), (f"  {sanitise_line(report.assignment)}\n", "dim"))
    title.append("".join(f"{sanitise_line(file.name)}\n" for file in report.files), "dim")
    share = report.score / report.max_score if report.max_score else 0.0
    filled = round(share * _BAR_WIDTH)
    title.append(f"\n{format_points(report.score)}", "bold")
    title.append(f" / {format_points(report.max_score)} points  ")
    title.append("━" * filled, "green").append("━" * (_BAR_WIDTH - filled), "bright_black")
    if report.pending_points:
        title.append(f"  {format_points(report.pending_points)} pending", "cyan")
    return title


def _render_items(items: Sequence[ItemResult]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for justify, wraps in (("left", False), ("left", False), ("right", False), ("left", True)):
        table.add_column(justify="right" if justify == "right" else "left", no_wrap=not wraps)
    for item in items:
        style = STYLES[item.verdict]
        message = Text(sanitise_text(item.message))
        location = describe_place(item.file, item.cell)
        if location and item.verdict is not Verdict.PASSED:
            message.append(f"\n{location}", "dim")
        table.add_row(
            Text(MARKS[item.verdict], style),
            Text(sanitise_line(item.id)),
            Text(f"{format_points(item.points)} / {format_points(item.max_points)}"),
            message,
        )
    return table


def _render_evidence(
    item: ItemResult, groups: Sequence[Sequence[Exhibit]], trainings: Sequence[RenderableType]
) -> RenderableType:
    table = Table(box=None, padding=0, show_header=False)
    table.add_row(Text.assemble((f"{MARKS[item.verdict]} {sanitise_line(item.id)}", STYLES[item.verdict])))
    for group in groups:
        for exhibit in group:
            if not exhibit.rows:
                style = "bold red" if exhibit.differs else ""
                table.add_row(Padding(Text.assemble((f"{exhibit.label}: ", "dim"), (exhibit.text, style)), _INDENT))
        matrices = [_render_matrix(exhibit) for exhibit in group if exhibit.rows]
        if matrices:
            table.add_row(Padding(Columns(matrices, padding=(0, 4)), _INDENT))
    for part in trainings:
        table.add_row(Padding(part, _INDENT))
    return Padding(table, (1, 0, 0, 0))


def _render_trainings(curves: Curves, *, has_blocks: bool) -> Iterator[RenderableType]:
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
        about = ": ".join(part for part in (describe_place(own.file, own.cell), own.text) if part)
        yield Text.assemble((f"{title}\n", "bold"), (about, "dim"))
        yield from (Text(f"- {finding}") for finding in own.findings)
        if own.chart:
            yield Text(f"loss {_render_curve(own.losses, has_blocks)}", "dim")


def _render_curve(values: Sequence[float], has_blocks: bool) -> str:
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ""
    return f"{format_short(finite[0])} {draw_sparkline(values) if has_blocks else 'to'} {format_short(finite[-1])}"


def _render_matrix(exhibit: Exhibit) -> Text:
    """Render a matrix under its name, with right-aligned columns."""
    text = Text(no_wrap=True).append(exhibit.label, "dim")
    text.append(f" {exhibit.text}", "bold red" if exhibit.differs else "dim")
    widest = max((cell_len(entry.text) for row in exhibit.rows for entry in row), default=0)
    for row in exhibit.rows:
        text.append("\n")
        for entry in row:
            text.append(" " * (widest - cell_len(entry.text) + 1))
            text.append(entry.text, "bold red underline" if entry.differs else "")
    return text


def _list(title: str, entries: Sequence[str]) -> Iterator[RenderableType]:
    """List entries under a title. Yield nothing if there are no entries."""
    if not entries:
        return
    yield Text(f"\n{title}", "bold")
    for entry in islice(entries, _MAX_LINES):
        yield Padding(Text(sanitise_text(entry).strip()), _INDENT)
    if len(entries) > _MAX_LINES:
        yield Padding(Text(f"and {len(entries) - _MAX_LINES:,} more", "dim"), _INDENT)

"""Render a report for GitHub Actions: annotations in the notebooks, a job summary and the outputs of a step."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from grader.render.cell_lines import locate_lines
from grader.render.classroom import render_classroom
from grader.render.markdown import describe_score, render_markdown
from grader.render.text import describe_missing_layers, describe_place, format_points, sanitise_line, sanitise_text
from grader.results.reading_order import describe_mend_first
from grader.results.report import ItemResult, Report, Verdict

__all__ = ["SUMMARY_BYTES", "render_github", "render_step_outputs", "render_step_summary"]

SUMMARY_BYTES = 2**20  # GitHub drops longer summaries
_MOST = 10  # annotations


def render_github(report: Report, files: Mapping[str, Path], root: Path) -> str:
    """Return workflow commands: the score and what to mend first, and annotations for what lost the most points.

    A step shows no more than ten annotations of a kind, so there are at most ten in all: the last one counts the rest.
    Written answers have none.

    Args:
        report: the report.
        files: the paths of the notebooks, by their names in the report.
        root: the folder of the repository, to which GitHub's paths are relative.
    """
    lines = {
        file.name: _locate_cell_lines(files[file.name], file.sha256) for file in report.files if file.name in files
    }
    shown = {name: _make_relative(path, root) for name, path in files.items()}
    if not report.is_readable:
        why = sanitise_text(report.obstacle).replace("##[", "# #[")
        return _make_command("error", why, title="Nothing was graded")
    summary = "\n".join((describe_score(report), *describe_mend_first(report)))
    commands = [_make_command("notice", summary, title=sanitise_line(report.title))]
    if missing := describe_missing_layers(report.missing_layers):
        commands.append(_make_command("warning", missing, title="Sandbox"))
    items = _choose_items(report)
    space = _MOST - len(commands)
    fitting = items if len(items) <= space else items[: space - 1]
    commands[1:1] = [_annotate(report, item, shown, lines) for item in fitting]
    if len(fitting) < len(items):
        commands.append(_summarise(items[len(fitting) :]))
    return "".join(commands)


def render_step_summary(report: Report, written: int = 0) -> str:
    """Return the job summary of a step, within the space left after `written` bytes."""
    return render_markdown(report, most_bytes=SUMMARY_BYTES - written)


def render_step_outputs(report: Report) -> str:
    """Return the outputs of a step: points, and `result` for GitHub Classroom's reporter."""
    outputs = {
        "score": format_points(report.score),
        "max-score": format_points(report.max_score),
        "pending-points": format_points(report.pending_points),
        "result": render_classroom(report).strip(),
    }
    return "".join(f"{name}={value}\n" for name, value in outputs.items())


def _choose_items(report: Report) -> list[ItemResult]:
    """Return the items to annotate: what lost points by itself before the rest, what has a place first."""
    items = [item for item in report.items if item.verdict is not Verdict.PASSED and not item.is_written_answer]

    def rank(item: ItemResult) -> tuple[bool, bool, bool, float]:
        return not item.has_lost, item.because_of is not None, item.place is None, item.points - item.max_points

    return sorted(items, key=rank)


def _summarise(items: Sequence[ItemResult]) -> str:
    """Return one annotation for items that have none of their own."""
    listed = [
        f"{sanitise_line(item.id)} ({format_points(item.points)} of {format_points(item.max_points)})" for item in items
    ]
    kind = "error" if any(item.has_lost for item in items) else "notice"
    title = f"{len(items)} more {'item' if len(items) == 1 else 'items'}"
    return _make_command(kind, f"{', '.join(listed)}: see the summary of this job", title=title)


def _annotate(
    report: Report, item: ItemResult, shown: Mapping[str, str], lines: Mapping[str, list[tuple[int, int]]]
) -> str:
    kind = "notice" if item.verdict is Verdict.PENDING else "error"
    file = item.file
    if file is None and kind == "error" and len(shown) == 1:
        file = next(iter(shown))  # a missing definition has no location, but belongs to the only notebook
    place = describe_place("", item.cell, item.line, report.count_cells(item.file))  # GitHub shows the file
    title = ", ".join(part for part in (sanitise_line(item.id), place) if part)
    message = f"{item.reason}\n{item.code}" if item.code and item.has_lost and item.because_of is None else item.reason
    if file is None or file not in shown:
        return _make_command(kind, message, title=title)
    known = lines.get(file, [])
    first, last = known[item.cell] if item.cell is not None and item.cell < len(known) else (1, 1)
    if item.line is not None and last > first:
        first = last = min(first + item.line - 1, last)
    return _make_command(kind, message, file=shown[file], line=str(first), endLine=str(last), title=title)


def _locate_cell_lines(path: Path, sha256: str) -> list[tuple[int, int]]:
    """Return the lines of a notebook's cells, an empty list if the file has changed since it was graded."""
    try:
        data = path.read_bytes()
    except OSError:
        return []
    return locate_lines(data) if hashlib.sha256(data).hexdigest() == sha256 else []


def _make_relative(path: Path, root: Path) -> str:
    path = path.absolute()
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _make_command(name: str, message: str, **properties: str) -> str:
    parameters = ",".join(f"{key}={_escape_property(value)}" for key, value in properties.items())
    return f"::{name} {parameters}::{_escape_data(message)}\n"


def _escape_data(text: str) -> str:
    return sanitise_text(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape_data(text).replace(":", "%3A").replace(",", "%2C")

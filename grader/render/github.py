"""Render a report for GitHub Actions: annotations in the notebooks, a job summary and the outputs of a step."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from grader.render.cell_lines import locate_lines
from grader.render.classroom import render_classroom
from grader.render.markdown import describe_score, render_markdown
from grader.render.text import format_points, sanitise_line, sanitise_text
from grader.results.report import ItemResult, Report, Verdict

__all__ = ["SUMMARY_BYTES", "render_github", "render_step_outputs", "render_step_summary"]

SUMMARY_BYTES = 2**20  # GitHub drops longer summaries


def render_github(report: Report, files: Mapping[str, Path], root: Path) -> str:
    """Return workflow commands: the score, and an annotation for each item that lost points or is pending.

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
    commands = [_make_command("notice", describe_score(report), title=sanitise_line(report.title))]
    for item in report.items:
        if item.verdict is not Verdict.PASSED:
            commands.append(_annotate(item, shown, lines))
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


def _annotate(item: ItemResult, shown: Mapping[str, str], lines: Mapping[str, list[tuple[int, int]]]) -> str:
    kind = "notice" if item.verdict is Verdict.PENDING else "error"
    file = item.file
    if file is None and kind == "error" and len(shown) == 1:
        file = next(iter(shown))  # a missing definition has no location, but belongs to the only notebook
    title = sanitise_line(item.id) if item.cell is None else f"{sanitise_line(item.id)}, cell {item.cell}"
    if file is None or file not in shown:
        return _make_command(kind, item.message, title=title)
    known = lines.get(file, [])
    first, last = known[item.cell] if item.cell is not None and item.cell < len(known) else (1, 1)
    return _make_command(kind, item.message, file=shown[file], line=str(first), endLine=str(last), title=title)


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

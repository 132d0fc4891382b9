"""Batches on a server, in a terminal: lists, who stands where, what a regrade changes, and how far a batch is."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from grader.render.text import line, points

__all__ = ["BatchProgress", "render_batches", "render_changes", "render_submissions"]

_ENDED = ("graded", "failed", "cancelled")  # states that a grading stays in
_SECONDS_BETWEEN_LOOKS = 1.0
_STYLES = {"graded": "green", "failed": "red", "cancelled": "yellow", "leased": "cyan"}
_WORDS = {"leased": "being graded"}
_Json = Mapping[str, Any]


class BatchProgress:
    """How far a batch is: a bar with rate and time left on a terminal, else a line whenever the counts change.

    Args:
        console: where to.
        about: the batch as the server shows it.
    """

    def __init__(self, console: Console, about: _Json) -> None:
        self._console = console
        self._looked = time.monotonic()
        self._told = ""
        self._progress: Progress | None = None
        self._task = TaskID(0)
        if console.is_terminal:
            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rest]}"), TimeRemainingColumn())
            self._progress = Progress(*columns, console=console, speed_estimate_period=300)
            self._task = self._progress.add_task("", total=about["submissions"], completed=_ended(about), rest="")
        self.update(about)

    def __enter__(self) -> BatchProgress:
        if self._progress:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress:
            self._progress.stop()

    def wants_more(self, kind: str) -> bool:
        """Tell whether it is time to ask the server for counts, now that something of this kind has happened."""
        if time.monotonic() - self._looked < _SECONDS_BETWEEN_LOOKS:
            return False
        return kind in {"graded", "failed", "cancelled", "claimed", "regrade"}

    def update(self, about: _Json) -> None:
        """Show these counts."""
        self._looked = time.monotonic()
        if self._progress:
            self._progress.update(self._task, completed=_ended(about), total=about["submissions"])
            speed = self._progress.tasks[0].speed
            rate = f"{speed * 60:.1f} a minute" if speed else ""
            self._progress.update(self._task, rest=", ".join(filter(None, (rate, _others(about)))))
            return
        told = ", ".join(filter(None, (f"{_ended(about)} of {about['submissions']} done", _others(about))))
        if told != self._told:
            self._console.print(told, markup=False, highlight=False, soft_wrap=True)
            self._told = told


def render_batches(batches: Sequence[_Json], console: Console) -> None:
    """Print a list of batches."""
    table = Table(Column("batch", no_wrap=True), "title", "assignment", "handed in", "by", "done", box=None, pad_edge=False)
    for batch in batches:
        done = f"{_ended(batch)} / {batch['submissions']}"
        table.add_row(*map(_text, (batch["id"], batch["title"], batch["assignment"])), *_when(batch), _text(done))
    console.print(table if batches else "there are no batches")


def render_submissions(about: _Json, submissions: Sequence[_Json], console: Console) -> None:
    """Print where each submission of a batch stands."""
    title = about["title"] or about["id"]
    console.print(_text(f"{title}  {about['assignment']}"), style="bold")
    table = Table("submission", "name", "state", "points", "", box=None, pad_edge=False)
    for each in submissions:
        state = str(each["state"])
        remarks = [str(each["message"]), "a newer report is not published" if each["draft"] else ""]
        table.add_row(
            _text(each["key"]),
            _text(each["name"]),
            Text(line(_WORDS.get(state, state)), style=_STYLES.get(state, "")),
            Text(_points(each["points"]), justify="right"),
            _text("; ".join(filter(None, remarks))),
        )
    console.print(table)
    told = ", ".join(filter(None, (f"{_ended(about)} of {about['submissions']} done", _others(about))))
    console.print(_text(told))


def render_changes(preview: _Json, console: Console) -> None:
    """Print whose points the drafts of a batch would change."""
    table = Table("submission", "name", "points", "", "new", box=None, pad_edge=False)
    for each in preview["changes"]:
        old, new = each["old"], each["new"]
        style = "green" if new > old else "red"
        row = _text(each["key"]), _text(each["name"]), Text(points(old), justify="right"), Text("→")
        table.add_row(*row, Text(points(new), style=style, justify="right"))
    if preview["changes"]:
        console.print(table)
    console.print(_text(f"{preview['drafts']} drafts, {len(preview['changes'])} of them change points"))


def _ended(about: _Json) -> int:
    return sum(about["states"].get(state, 0) for state in _ENDED)


def _others(about: _Json) -> str:
    """Say how many are in the states that are neither a success nor a mere wait."""
    counts = ((about["states"].get(state, 0), _WORDS.get(state, state)) for state in ("leased", "failed", "cancelled"))
    return ", ".join(f"{count} {word}" for count, word in counts if count)


def _when(batch: _Json) -> tuple[Text, Text]:
    return _text(str(batch["created_at"])[:16].replace("T", " ")), _text(batch["owner"])


def _points(found: _Json | None) -> str:
    if not found:
        return ""
    pending = f" ({points(found['pending_points'])} pending)" if found["pending_points"] else ""
    return f"{points(found['score'])} / {points(found['max_score'])}{pending}"


def _text(value: object) -> Text:
    # As text and on one line, because names hold what rich takes for markup and what terminals obey.
    return Text(line(str(value)))

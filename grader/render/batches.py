"""Batches on a server, and one student's submissions, in a terminal: who stands where, what changes, how far it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from grader.render.text import format_points, sanitise_line

__all__ = ["BatchProgress", "render_batches", "render_changes", "render_own", "render_state", "render_submissions"]

_ENDED = ("graded", "failed", "cancelled")  # states that a grading stays in
_STYLES = {"graded": "green", "failed": "red", "cancelled": "yellow", "leased": "cyan"}
_WORDS = {"leased": "being graded"}
# What a grading is once this has happened to its submission.
_AFTER = {
    "claimed": "leased",
    "given_back": "waiting",
    "part_graded": "waiting",
    "regrade": "waiting",
    **{state: state for state in _ENDED},
}
_Json = Mapping[str, Any]


class BatchProgress:
    """How far a batch is: a bar with rate and time left on a terminal, else a line for each hundredth of it.

    Args:
        console: where to.
        about: the batch as the server shows it.
    """

    def __init__(self, console: Console, about: _Json) -> None:
        self._console = console
        self._total = int(about["submissions"])
        self._states: dict[str, str] = {}  # of submissions that something has happened to
        self._told = ""
        # Events are told from the first one on. What the server counted already is no progress of this moment.
        self._at_start = {state: count for state, count in about["states"].items() if count}
        self._caught_up = self._counts() == self._at_start
        self._progress: Progress | None = None
        self._task = TaskID(0)
        if console.is_terminal:
            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rest]}"), TimeRemainingColumn())
            self._progress = Progress(*columns, console=console, speed_estimate_period=300)
            self._task = self._progress.add_task("", total=self._total, completed=_ended(self._at_start), rest="")
        self._show(self._at_start)

    def __enter__(self) -> BatchProgress:
        if self._progress:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress:
            self._progress.stop()

    def happened(self, kind: str, submission: str) -> None:
        """Show what has changed by an event."""
        if kind in _AFTER:
            self._states[submission] = _AFTER[kind]
        counts = self._counts()
        self._caught_up = self._caught_up or counts == self._at_start
        if self._caught_up:
            self._show(counts)

    def _counts(self) -> dict[str, int]:
        waiting = self._total - len(self._states)
        return dict(Counter(self._states.values()) + Counter(waiting=waiting))

    def _show(self, counts: Mapping[str, int]) -> None:
        ended = _ended(counts)
        if self._progress:
            self._progress.update(self._task, completed=ended)
            speed = self._progress.tasks[0].speed
            rate = f"{speed * 60:.1f} a minute" if speed else ""
            self._progress.update(self._task, rest=", ".join(filter(None, (rate, _others(counts)))))
            return
        hundredth = f"{100 * ended // max(self._total, 1)}"
        if hundredth != self._told:
            self._console.print(_summary(counts, self._total), soft_wrap=True)
            self._told = hundredth


def render_batches(batches: Sequence[_Json], console: Console) -> None:
    """Print a list of batches."""
    table = Table(
        Column("batch", no_wrap=True), "title", "assignment", "handed in", "by", "done", box=None, pad_edge=False
    )
    for batch in batches:
        done = f"{_ended(batch['states'])} / {batch['submissions']}"
        table.add_row(*map(_text, (batch["id"], batch["title"], batch["assignment"])), *_when(batch), _text(done))
    console.print(table if batches else "there are no batches")


def render_own(submissions: Sequence[_Json], console: Console) -> None:
    """Print one student's submissions, which may be of several assignments."""
    rest = Column("", overflow="fold")  # names of files have no spaces to break them at
    table = Table(Column("submission", no_wrap=True), "of", "state", "points", rest, box=None, pad_edge=False)
    for each in submissions:
        remark = str(each["message"]) or ", ".join(str(notebook["name"]) for notebook in each["notebooks"])
        state, score = _state(each["state"]), Text(_points(each["points"]), justify="right")
        table.add_row(_text(each["id"]), _text(each["assignment"]), state, score, _text(remark))
    console.print(table if submissions else "there are no submissions")


def render_state(submission: _Json, console: Console) -> None:
    """Print the state of one submission on a line."""
    console.print(_state(submission["state"]))


def render_submissions(about: _Json, submissions: Sequence[_Json], console: Console) -> None:
    """Print where each submission of a batch stands."""
    title = about["title"] or about["id"]
    console.print(_text(f"{title}  {about['assignment']}"), style="bold")
    table = Table("submission", "name", "state", "points", "", box=None, pad_edge=False)
    for each in submissions:
        remarks = [str(each["message"]), "a newer report is not published" if each["draft"] else ""]
        table.add_row(
            _text(each["key"]),
            _text(each["name"]),
            _state(each["state"]),
            Text(_points(each["points"]), justify="right"),
            _text("; ".join(filter(None, remarks))),
        )
    console.print(table)
    console.print(_summary(about["states"], about["submissions"]))


def render_changes(preview: _Json, console: Console) -> None:
    """Print whose points the drafts of a batch would change."""
    table = Table("submission", "name", "points", "", "new", box=None, pad_edge=False)
    for each in preview["changes"]:
        old, new = each["old"], each["new"]
        style = "green" if new > old else "red"
        row = _text(each["key"]), _text(each["name"]), Text(format_points(old), justify="right"), Text("→")
        table.add_row(*row, Text(format_points(new), style=style, justify="right"))
    if preview["changes"]:
        console.print(table)
    console.print(_text(f"{preview['drafts']} drafts, {len(preview['changes'])} of them change points"))


def _ended(counts: Mapping[str, int]) -> int:
    return sum(counts.get(state, 0) for state in _ENDED)


def _summary(counts: Mapping[str, int], total: int) -> Text:
    return Text(", ".join(filter(None, (f"{_ended(counts)} of {total} done", _others(counts)))))


def _others(counts: Mapping[str, int]) -> str:
    """Say how many are in the states that are neither a success nor a mere wait."""
    states = ("leased", "failed", "cancelled")
    return ", ".join(f"{counts[state]} {_WORDS.get(state, state)}" for state in states if counts.get(state))


def _when(batch: _Json) -> tuple[Text, Text]:
    return _text(str(batch["created_at"])[:16].replace("T", " ")), _text(batch["owner"])


def _state(state: str) -> Text:
    return Text(sanitise_line(_WORDS.get(state, state)), style=_STYLES.get(state, ""))


def _points(found: _Json | None) -> str:
    if not found:
        return ""
    pending = f" ({format_points(found['pending_points'])} pending)" if found["pending_points"] else ""
    return f"{format_points(found['score'])} / {format_points(found['max_score'])}{pending}"


def _text(value: object) -> Text:
    # As text and on one line, because names hold what rich takes for markup and what terminals obey.
    return Text(sanitise_line(str(value)))

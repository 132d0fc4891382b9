"""Show batches on a server, and one student's submissions, on a terminal: states, changes and progress."""

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

_ENDED = ("graded", "failed", "cancelled")  # final states of a job
_STYLES = {"graded": "green", "failed": "red", "cancelled": "yellow", "leased": "cyan"}
_WORDS = {"leased": "being graded"}
# The state of a submission after each kind of event.
_STATE_AFTER = {
    "claimed": "leased",
    "given_back": "waiting",
    "part_graded": "waiting",
    "regrade": "waiting",
    **{state: state for state in _ENDED},
}
_Json = Mapping[str, Any]


class BatchProgress:
    """The progress of a batch: a bar with rate and remaining time on a terminal, else a line for each percent.

    Args:
        console: the output.
        about: the batch as the server describes it.
    """

    def __init__(self, console: Console, about: _Json) -> None:
        self._console = console
        self._total = int(about["submissions"])
        self._states: dict[str, str] = {}  # of the submissions that had an event
        self._last_percent = ""
        # The stream repeats all events from the first; those in the server's counts are not new progress.
        self._at_start = {state: count for state, count in about["states"].items() if count}
        self._caught_up = self._count_states() == self._at_start
        self._progress: Progress | None = None
        self._task = TaskID(0)
        if console.is_terminal:
            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rest]}"), TimeRemainingColumn())
            self._progress = Progress(*columns, console=console, speed_estimate_period=300)
            self._task = self._progress.add_task("", total=self._total, completed=_count_ended(self._at_start), rest="")
        self._show(self._at_start)

    def __enter__(self) -> BatchProgress:
        if self._progress:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress:
            self._progress.stop()

    def update(self, kind: str, submission: str) -> None:
        """Show the change that an event of this kind made."""
        if kind in _STATE_AFTER:
            self._states[submission] = _STATE_AFTER[kind]
        counts = self._count_states()
        self._caught_up = self._caught_up or counts == self._at_start
        if self._caught_up:
            self._show(counts)

    def _count_states(self) -> dict[str, int]:
        waiting = self._total - len(self._states)
        return dict(Counter(self._states.values()) + Counter(waiting=waiting))

    def _show(self, counts: Mapping[str, int]) -> None:
        ended = _count_ended(counts)
        if self._progress:
            self._progress.update(self._task, completed=ended)
            speed = self._progress.tasks[0].speed
            rate = f"{speed * 60:.1f} a minute" if speed else ""
            self._progress.update(self._task, rest=", ".join(filter(None, (rate, _describe_others(counts)))))
            return
        percent = f"{100 * ended // max(self._total, 1)}"
        if percent != self._last_percent:
            self._console.print(_summarise(counts, self._total), soft_wrap=True)
            self._last_percent = percent


def render_batches(batches: Sequence[_Json], console: Console) -> None:
    """Print a list of batches."""
    table = Table(
        Column("batch", no_wrap=True), "title", "assignment", "submitted", "by", "done", box=None, pad_edge=False
    )
    for batch in batches:
        done = f"{_count_ended(batch['states'])} / {batch['submissions']}"
        about = map(_text, (batch["id"], batch["title"], batch["assignment"]))
        table.add_row(*about, *_describe_origin(batch), _text(done))
    console.print(table if batches else "there are no batches")


def render_own(submissions: Sequence[_Json], console: Console) -> None:
    """Print one student's submissions, possibly to several assignments."""
    rest = Column("", overflow="fold")  # file names have no spaces to wrap at
    table = Table(Column("submission", no_wrap=True), "assignment", "state", "points", rest, box=None, pad_edge=False)
    for row in submissions:
        remark = str(row["message"]) or ", ".join(str(notebook["name"]) for notebook in row["notebooks"])
        state, score = _format_state(row), Text(_format_score(row["points"]), justify="right")
        table.add_row(_text(row["id"]), _text(row["assignment"]), state, score, _text(remark))
    console.print(table if submissions else "there are no submissions")


def render_state(submission: _Json, console: Console) -> None:
    """Print the state of one submission on a line."""
    console.print(_format_state(submission))


def render_submissions(about: _Json, submissions: Sequence[_Json], console: Console) -> None:
    """Print the state of each submission of a batch."""
    title = about["title"] or about["id"]
    console.print(_text(f"{title}  {about['assignment']}"), style="bold")
    table = Table("submission", "name", "state", "points", "", box=None, pad_edge=False)
    for row in submissions:
        remarks = [str(row["message"]), "a newer report is not published" if row["draft"] else ""]
        table.add_row(
            _text(row["key"]),
            _text(row["name"]),
            _format_state(row),
            Text(_format_score(row["points"]), justify="right"),
            _text("; ".join(filter(None, remarks))),
        )
    console.print(table)
    console.print(_summarise(about["states"], about["submissions"]))


def render_changes(preview: _Json, console: Console) -> None:
    """Print which points the drafts of a batch would change."""
    table = Table("submission", "name", "points", "", "new", box=None, pad_edge=False)
    for change in preview["changes"]:
        old, new = change["old"], change["new"]
        style = "green" if new > old else "red"
        row = _text(change["key"]), _text(change["name"]), Text(format_points(old), justify="right"), Text("→")
        table.add_row(*row, Text(format_points(new), style=style, justify="right"))
    if preview["changes"]:
        console.print(table)
    console.print(_text(f"{preview['drafts']} drafts, {len(preview['changes'])} of them change points"))


def _count_ended(counts: Mapping[str, int]) -> int:
    return sum(counts.get(state, 0) for state in _ENDED)


def _summarise(counts: Mapping[str, int], total: int) -> Text:
    return Text(", ".join(filter(None, (f"{_count_ended(counts)} of {total} done", _describe_others(counts)))))


def _describe_others(counts: Mapping[str, int]) -> str:
    """Say how many submissions are being graded, failed or cancelled."""
    states = ("leased", "failed", "cancelled")
    return ", ".join(f"{counts[state]} {_WORDS.get(state, state)}" for state in states if counts.get(state))


def _describe_origin(batch: _Json) -> tuple[Text, Text]:
    return _text(str(batch["created_at"])[:16].replace("T", " ")), _text(batch["owner"])


def _format_state(submission: _Json) -> Text:
    if submission.get("refused"):
        return Text("unreadable", style="red")
    state = str(submission["state"])
    return Text(sanitise_line(_WORDS.get(state, state)), style=_STYLES.get(state, ""))


def _format_score(points: _Json | None) -> str:
    if not points:
        return ""
    pending = f" ({format_points(points['pending_points'])} pending)" if points["pending_points"] else ""
    return f"{format_points(points['score'])} / {format_points(points['max_score'])}{pending}"


def _text(value: object) -> Text:
    # As literal text on one line, because names may contain markup of rich and terminal commands.
    return Text(sanitise_line(str(value)))

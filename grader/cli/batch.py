"""`grader batch`: grade a class on this machine."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from grader.cli.completion import complete_assignments
from grader.cli.console import (
    INTERRUPTED,
    NO_DAEMON,
    NOT_PASSED,
    PASSED,
    UNSAFE,
    app,
    handle_errors,
    refuse_unwritable,
    write_text,
)
from grader.cli.devices import DEVICES, hold_selected
from grader.cli.handover import hand_over_to_new
from grader.cli.help_pages import Section
from grader.models.recipe import Mode

if TYPE_CHECKING:
    from grader.batch.graders import ProgressListener
    from grader.results.journal import JournalRecord
    from grader.results.overview import Overview
    from grader.results.report import Report

__all__ = ["batch"]


@app.command(
    section=Section.CLASS,
    examples="""
        grader batch submissions.zip --out reports/
        grader batch class/ --out reports/ --jobs 4 --training none
    """,
)
def batch(
    submissions: Annotated[
        list[Path],
        typer.Argument(
            help="A folder or zip file from an LMS, or notebooks, one for each student.", show_default=False
        ),
    ],
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Write reports, gradebook and summary here.", show_default=False)
    ],
    assignment: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="The name of an assignment, or the path of its folder.",
            autocompletion=complete_assignments,
        ),
    ] = "hw2",
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of submissions to grade at once.",
            show_default="3 on two cores; 2 with trainings",
        ),
    ] = None,
    training: Annotated[
        Mode | None,
        typer.Option(
            help="none: train nothing. quick: recipes for a CPU. full: the book's recipes, and the notebook's own "
            "training cells as written.",
            show_default="full with --devices, else quick",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder with Fashion-MNIST.", show_default="see `grader data`"),
    ] = None,
    devices: Annotated[str, DEVICES] = "",
    unsafe: Annotated[bool, UNSAFE] = False,
    no_daemon: Annotated[bool, NO_DAEMON] = False,
    json_file: Annotated[
        str, typer.Option("--json", help="Write the summary as JSON to this file, - for standard output.")
    ] = "",
) -> None:
    """Grade a class.

    If it is interrupted, run the same command again: it continues with the submissions that are not graded yet.

    Every submission has a report. If no notebook of one can be read, its report says why and decides nothing.

    Exit codes: 0 all submissions were graded, 1 some are unreadable or hit a system error, 2 the input is wrong or this
    machine lacks a required layer of the sandbox, 3 the system failed, 130 interrupted.
    """
    with handle_errors():
        from grader.assignment import find_assignment
        from grader.batch.batch import grade_batch
        from grader.batch.sources import collect_sources
        from grader.render.text import describe_missing_layers

        refuse_unwritable(json_file)
        found = find_assignment(assignment)
        collected, notices = collect_sources(submissions, out)
        hand_over_to_new(found)
        for notice in notices:
            _print(notice)
        with hold_selected(devices) as gpus, _show_batch() as listener:
            mode = training or (Mode.FULL if gpus else Mode.QUICK)
            try:
                overview = grade_batch(
                    collected, found, out, listener, mode=mode, data=data, jobs=jobs, unsafe=unsafe, gpus=gpus
                )
            except KeyboardInterrupt:
                _print("stopped; run the same command again to continue with the submissions that are not graded yet")
                raise typer.Exit(INTERRUPTED) from None
        if json_file:
            write_text(json_file, overview.to_json())
        for alarm in overview.alarms:
            _print(f"look at this first: {alarm}")
        if missing := describe_missing_layers(overview.missing_layers):
            _print(missing)
        _print(_describe_result(overview, out))
    complete = overview.counts["graded"] == len(overview.submissions)
    raise typer.Exit(PASSED if complete else NOT_PASSED)


def _describe_result(overview: Overview, out: Path) -> str:
    counts = overview.counts
    parts = [f"{counts['graded']} graded"]
    parts += [f"{counts['unreadable']} unreadable"] if counts["unreadable"] else []
    parts += [f"{counts['failed']} not graded (system error)"] if counts["failed"] else []
    mean = f", on average {overview.scores.mean:.1f} % of the decided points" if overview.scores else ""
    return f"{', '.join(parts)}{mean}; see {out / 'summary.html'}"


@contextmanager
def _show_batch() -> Iterator[ProgressListener]:
    """Show the progress: a live view on a terminal, else a line for each submission."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM stops like Ctrl-C
    console = Console(stderr=True)
    try:
        if console.is_terminal:
            view = _LiveProgress(console)
            with Live(get_renderable=view.render, console=console, transient=True, refresh_per_second=4):
                yield view
        else:
            yield _LineProgress()
    finally:
        signal.signal(signal.SIGTERM, before)


class _Pace:
    """The progress of a batch, in words."""

    def __init__(self, submissions: int = 0, done: int = 0) -> None:
        self.submissions, self.done = submissions, done
        self._before = done
        self._failed = 0
        self._started = time.monotonic()

    def count(self, record: JournalRecord) -> None:
        """Count a submission that has ended."""
        self.done += 1
        self._failed += not record.report

    def __str__(self) -> str:
        minutes, new = (time.monotonic() - self._started) / 60, self.done - self._before
        parts = [f"{self.done} of {self.submissions}"]
        if new and self.done < self.submissions:
            left = (self.submissions - self.done) * minutes / new
            parts += [f"{new / minutes:.1f} a minute", f"about {_duration(left)} left"]
        return ", ".join([*parts, *([f"{self._failed} without a report"] if self._failed else [])])


def _duration(minutes: float) -> str:
    return f"{minutes:.0f} min" if minutes >= 1 else f"{60 * minutes:.0f} s"


class _LineProgress:
    """Print a line for each submission that ends."""

    def on_start(self, submissions: int, done: int, jobs: int) -> None:
        self._pace = _Pace(submissions, done)
        before = f", {done} of them already graded" if done else ""
        _print(f"{submissions} submissions{before}; {jobs} at once")

    def on_step(self, process: int, key: str, what: str) -> None:
        """Print nothing: a line for each step would be too many."""

    def on_end(self, record: JournalRecord, report: Report | None) -> None:
        self._pace.count(record)
        _print(f"{self._pace}: {_describe_submission(record, report)}")


class _LiveProgress:
    """Show a bar, and below it the current step of each process."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._pace = _Pace()
        self._doing: dict[int, str] = {}

    def on_start(self, submissions: int, done: int, jobs: int) -> None:
        self._pace = _Pace(submissions, done)
        self._doing = dict.fromkeys(range(jobs), "")

    def on_step(self, process: int, key: str, what: str) -> None:
        self._doing[process] = f"{key}: {what}" if key else ""

    def on_end(self, record: JournalRecord, report: Report | None) -> None:
        self._pace.count(record)
        if report is None or not report.is_readable:
            self._console.print(_text(_describe_submission(record, report)))

    def render(self) -> Group:
        """Return the current view."""
        table = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=max(self._pace.submissions, 1), completed=self._pace.done, width=20)
        table.add_row(bar, _text(str(self._pace)))
        return Group(table, *(_text(step) for step in list(self._doing.values()) if step))


def _describe_submission(record: JournalRecord, report: Report | None) -> str:
    from grader.render.text import format_points

    if report is None or not report.is_readable:
        return f"{record.key}: {record.status}: {record.message}"
    points = f"{format_points(report.score)} of {format_points(report.max_score)} points"
    return f"{record.key}: {points} in {record.seconds:.1f} s"


def _print(text: str) -> None:
    Console(stderr=True, soft_wrap=True).print(_text(text))  # standard output is for JSON


def _text(text: str) -> Text:
    """Return one line as literal text: names may contain markup of rich."""
    from grader.render.text import sanitise_line

    return Text(sanitise_line(text), overflow="ellipsis", no_wrap=True)

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

from grader.cli.console import NOT_PASSED, PASSED, app, handle_errors, hold_interrupts, refuse_unwritable, write_text
from grader.models.recipe import Mode

if TYPE_CHECKING:
    from grader.batch.graders import ProgressListener
    from grader.results.journal import JournalRecord
    from grader.results.overview import Overview
    from grader.results.report import Report

__all__ = ["batch"]

_INTERRUPTED = 130  # as shells have it


@app.command()
def batch(
    submissions: Annotated[
        list[Path],
        typer.Argument(
            help="A folder or zip file as an LMS gives it, or notebooks, one a student.", show_default=False
        ),
    ],
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where reports, gradebook and summary go.", show_default=False)
    ],
    assignment: Annotated[str, typer.Option(help="An assignment's name, or the path of its folder.")] = "hw2",
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many submissions are graded at once.",
            show_default="3 on two cores, with trainings 2",
        ),
    ] = None,
    training: Annotated[
        Mode | None,
        typer.Option(
            help="none: nothing is trained. quick: recipes for a CPU. full: the book's recipes, and the notebook's own "
            "training cells as written.",
            show_default="full where there is a GPU, else quick",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where Fashion-MNIST is.", show_default="found; see `grader data`"),
    ] = None,
    json_file: Annotated[
        str, typer.Option("--json", help="Write the summary as JSON here, - for standard output.")
    ] = "",
) -> None:
    """Grade a class; stopped and run again, it goes on with what is not graded yet.

    Exit codes: 0 everything was graded, 1 something could not be read or is a system error, 2 the input is wrong, 3 the
    system failed, 130 it was stopped.
    """
    with handle_errors():
        from grader.assignment import find_assignment
        from grader.batch.batch import grade_batch
        from grader.batch.sources import collect_sources

        refuse_unwritable(json_file)
        found = find_assignment(assignment)
        handed_in, notices = collect_sources(submissions, out)
        for notice in notices:
            _say(notice)
        mode = training or _default_mode()
        with _watched() as watcher:
            try:
                overview = grade_batch(handed_in, found, out, watcher, mode=mode, data=data, jobs=jobs)
            except KeyboardInterrupt:
                _say("stopped; run the same command again to go on with what is not graded yet")
                raise typer.Exit(_INTERRUPTED) from None
        if json_file:
            write_text(json_file, overview.to_json())
        _say(_ended_with(overview, out))
    whole = overview.counts["graded"] == len(overview.submissions)
    raise typer.Exit(PASSED if whole else NOT_PASSED)


def _default_mode() -> Mode:
    with hold_interrupts():
        from grader.training.devices import choose_default_mode

    return choose_default_mode()


def _ended_with(overview: Overview, out: Path) -> str:
    counts = overview.counts
    parts = [f"{counts['graded']} graded"]
    parts += [f"{counts['unreadable']} unreadable"] if counts["unreadable"] else []
    parts += [f"{counts['failed']} not graded (system error)"] if counts["failed"] else []
    mean = f", on average {overview.scores.mean:.1f} % of the points that are decided" if overview.scores else ""
    return f"{', '.join(parts)}{mean}; see {out / 'summary.html'}"


@contextmanager
def _watched() -> Iterator[ProgressListener]:
    """Show how far it is: a picture that changes on a terminal, a line for each submission elsewhere."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM stops as Ctrl-C does
    console = Console(stderr=True)
    try:
        if console.is_terminal:
            picture = _Picture(console)
            with Live(get_renderable=picture.drawn, console=console, transient=True, refresh_per_second=4):
                yield picture
        else:
            yield _Lines()
    finally:
        signal.signal(signal.SIGTERM, before)


class _Pace:
    """How far a batch is, in words."""

    def __init__(self, submissions: int = 0, done: int = 0) -> None:
        self.submissions, self.done = submissions, done
        self._before = done
        self._failed = 0
        self._started = time.monotonic()

    def ended(self, record: JournalRecord) -> None:
        """Count a submission."""
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


class _Lines:
    """Says each submission's end in a line."""

    def begins(self, submissions: int, done: int, jobs: int) -> None:
        self._pace = _Pace(submissions, done)
        before = f", {done} of them done before" if done else ""
        _say(f"{submissions} submissions{before}; {jobs} at once")

    def doing(self, process: int, key: str, what: str) -> None:
        """Say nothing: a line for each step would be too many."""

    def ended(self, record: JournalRecord, report: Report | None) -> None:
        self._pace.ended(record)
        _say(f"{self._pace}: {_came_to(record, report)}")


class _Picture:
    """Draws a bar, and below it what each process does."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._pace = _Pace()
        self._doing: dict[int, str] = {}

    def begins(self, submissions: int, done: int, jobs: int) -> None:
        self._pace = _Pace(submissions, done)
        self._doing = dict.fromkeys(range(jobs), "")

    def doing(self, process: int, key: str, what: str) -> None:
        self._doing[process] = f"{key}: {what}" if key else ""

    def ended(self, record: JournalRecord, report: Report | None) -> None:
        self._pace.ended(record)
        if report is None:
            self._console.print(_text(_came_to(record, report)))

    def drawn(self) -> Group:
        """Return what is on the terminal now."""
        whole = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=max(self._pace.submissions, 1), completed=self._pace.done, width=20)
        whole.add_row(bar, _text(str(self._pace)))
        return Group(whole, *(_text(what) for what in list(self._doing.values()) if what))


def _came_to(record: JournalRecord, report: Report | None) -> str:
    from grader.render.text import format_points

    if report is None:
        return f"{record.key}: {record.status}: {record.message}"
    points = f"{format_points(report.score)} of {format_points(report.max_score)} points"
    return f"{record.key}: {points} in {record.seconds:.1f} s"


def _say(text: str) -> None:
    Console(stderr=True, soft_wrap=True).print(_text(text))  # standard output is for JSON


def _text(text: str) -> Text:
    """Return one line as it is written: names may hold what rich takes for markup."""
    from grader.render.text import sanitise_line

    return Text(sanitise_line(text), overflow="ellipsis", no_wrap=True)

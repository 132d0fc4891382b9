"""`grader batch`: grade a class on this machine."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from grader.cli.console import NOT_PASSED, PASSED, app, exit_codes, interrupts_held, refuse_unwritable, write_text
from grader.recipe import Mode

if TYPE_CHECKING:
    from grader.batch import Watcher
    from grader.journal import Record
    from grader.overview import Overview
    from grader.report import Report

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
        typer.Option(min=1, help="How many submissions are graded at once.", show_default="one on each core"),
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
    with exit_codes():
        from grader.assignment import find_assignment
        from grader.batch import grade_batch
        from grader.batch.submissions import collect_all

        refuse_unwritable(json_file)
        found = find_assignment(assignment)
        handed_in, notices = collect_all(submissions, out)
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
    with interrupts_held():
        from grader.training.devices import default_mode

    return default_mode()


def _ended_with(overview: Overview, out: Path) -> str:
    counts = overview.counts
    parts = [f"{counts['graded']} graded"]
    parts += [f"{counts['unreadable']} unreadable"] if counts["unreadable"] else []
    parts += [f"{counts['failed']} not graded (system error)"] if counts["failed"] else []
    mean = f", on average {overview.scores.mean:.1f} % of the points that are decided" if overview.scores else ""
    return f"{', '.join(parts)}{mean}; see {out / 'summary.html'}"


def _say(text: str) -> None:
    from grader.render.text import line

    # Standard output is for JSON. As text, because names may hold what rich takes for markup.
    Console(stderr=True, soft_wrap=True).print(Text(line(text)))


@contextmanager
def _watched() -> Iterator[Watcher]:
    """Show how far it is: a picture that changes on a terminal, a line for each submission elsewhere."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM stops as Ctrl-C does
    console = Console(stderr=True)
    try:
        if console.is_terminal:
            shown = _Picture(console)
            with Live(get_renderable=shown.drawn, console=console, transient=True, refresh_per_second=4):
                yield shown
        else:
            yield _Lines()
    finally:
        signal.signal(signal.SIGTERM, before)


class _Lines:
    """Says each submission's end in a line, with the rate and the time left."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._submissions = self._before = self._done = self._failed = 0
        self._started = time.monotonic()

    def begins(self, submissions: int, done: int, jobs: int) -> None:
        self._submissions, self._before, self._done = submissions, done, done
        self._started = time.monotonic()
        before = f", {done} of them graded before" if done else ""
        self.say(f"{submissions} submissions{before}; {jobs} at once")

    def doing(self, process: int, key: str, what: str) -> None:
        """Say nothing: a line for each step would be too many."""

    def ended(self, record: Record, report: Report | None) -> None:
        from grader.render.text import points

        with self._lock:
            self._done += 1
            self._failed += report is None
        came_to = (
            f"{points(report.score)} of {points(report.max_score)}" if report else f"{record.status}: {record.message}"
        )
        self.say(f"{record.key}: {came_to} ({record.seconds:.1f} s); {self.told()}")

    def told(self) -> str:
        """Return how far it is in words."""
        minutes, new = (time.monotonic() - self._started) / 60, self._done - self._before
        parts = [f"{self._done} of {self._submissions}"]
        if new and self._done < self._submissions:
            left = (self._submissions - self._done) * minutes / new
            parts += [f"{new / minutes:.1f} a minute", f"about {_duration(left)} left"]
        return ", ".join([*parts, *([f"{self._failed} without a report"] if self._failed else [])])

    def say(self, text: str) -> None:
        _say(text)


class _Picture(_Lines):
    """Draws a bar, and below it what each process does."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._doing: dict[int, str] = {}

    def doing(self, process: int, key: str, what: str) -> None:
        self._doing[process] = f"{key}: {what}" if key else ""

    def ended(self, record: Record, report: Report | None) -> None:
        from grader.render.text import line

        with self._lock:
            self._done += 1
            self._failed += report is None
        if report is None:
            self._console.print(Text(line(f"{record.key}: {record.status}: {record.message}")))

    def say(self, text: str) -> None:
        """Say nothing that is drawn."""

    def drawn(self) -> Group:
        """Return what is on the terminal now."""
        from grader.render.text import line

        bar = ProgressBar(total=max(self._submissions, 1), completed=self._done, width=40)
        rows = [Text(line(what), overflow="ellipsis", no_wrap=True) for _, what in sorted(self._doing.items()) if what]
        return Group(bar, Text(self.told()), *rows)


def _duration(minutes: float) -> str:
    return f"{minutes:.0f} min" if minutes >= 1 else f"{60 * minutes:.0f} s"

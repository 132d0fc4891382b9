"""What a command that works says about how far it is, on standard error."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from grader.cli.interrupts import clean_up_on_interrupt, delay_interrupts
from grader.cli.runner_log import is_ci

__all__ = ["show_progress"]

_SECONDS_BETWEEN_LINES = 60.0  # where there is no terminal, so that a log shows that the work goes on


@contextmanager
def show_progress(seconds_between_lines: float = _SECONDS_BETWEEN_LINES) -> Iterator[Callable[[str], None]]:
    """Show the seconds and the current step: on a terminal in place, elsewhere as a line from time to time.

    Args:
        seconds_between_lines: the time between two lines where there is no terminal, and before the first one.

    Yields:
        a function that takes each step in a few words, and nothing to clear the line.
    """
    if _draws_in_place():
        with _SpinningLine().open() as show:
            yield show
    else:
        with _RareLines(seconds_between_lines).open() as show:
            yield show


def _draws_in_place() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown") and not is_ci()


class _SpinningLine:
    """A line that is drawn again ten times a second; its seconds go on while a step takes long."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._step = "reading"
        self._spinner = Spinner("line" if not _can_show("⠋") else "dots")
        self._console = Console(stderr=True)
        self._live = Live(console=self._console, get_renderable=self._render, transient=True, refresh_per_second=10)

    @contextmanager
    def open(self) -> Iterator[Callable[[str], None]]:
        """Draw the line for the duration of the block."""
        try:
            with delay_interrupts():
                self._live.start()
            with clean_up_on_interrupt(self._live.stop):
                yield self._show
        finally:
            with delay_interrupts():
                self._live.stop()

    def _show(self, step: str) -> None:
        self._step = step
        with delay_interrupts():
            if not step:
                self._live.stop()
            elif not self._live.is_started:
                self._live.start()  # an earlier part of the work may have stopped it

    def _render(self) -> Table:
        from grader.render.text import sanitise_line

        # Seconds first: a long name of a file breaks into a second line, and takes nothing away. As literal text,
        # because file names may contain markup of rich.
        row = Table.grid(padding=(0, 1))
        seconds = Text(f"{time.monotonic() - self._started:.0f} s", no_wrap=True)
        row.add_row(self._spinner, seconds, Text(sanitise_line(self._step), overflow="fold"))
        return row


class _RareLines:
    """A line from time to time, in a log or in a file."""

    def __init__(self, seconds: float) -> None:
        self._started = time.monotonic()
        self._seconds = seconds
        self._step = ""
        self._ended = threading.Event()

    @contextmanager
    def open(self) -> Iterator[Callable[[str], None]]:
        """Print lines for the duration of the block."""
        thread = threading.Thread(target=self._print_lines, daemon=True)
        thread.start()
        try:
            yield self._show
        finally:
            self._ended.set()
            thread.join()

    def _show(self, step: str) -> None:
        self._step = step

    def _print_lines(self) -> None:
        from grader.render.text import sanitise_line

        while not self._ended.wait(self._seconds):
            if self._step:
                print(f"{time.monotonic() - self._started:.0f} s: {sanitise_line(self._step)}", file=sys.stderr)


def _can_show(text: str) -> bool:
    try:
        text.encode(sys.stderr.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True

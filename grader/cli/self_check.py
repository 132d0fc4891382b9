"""What `grader check` does for a student at work: some items with hints, and the same again after every save."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer
from rich.console import Console
from rich.live import Live

from grader.cli.console import NOT_PASSED, PASSED, accept_interrupts, hold_interrupts, show_progress
from grader.errors import SubmissionError

if TYPE_CHECKING:
    from grader.assignment import Assignment, Item
    from grader.models.recipe import Mode
    from grader.results.report import Report, Verdict
    from grader.self_check.watch import CheckedState, Grade
    from grader.submission.submission import Submission

__all__ = ["CheckRequest", "show_items", "watch_notebooks"]


@dataclass(frozen=True)
class CheckRequest:
    """What is checked, and how much is told.

    Attributes:
        notebooks: the files of one submission.
        name: an assignment's name, or the path of its folder.
        wanted: what items are called; all where nothing is.
        hint: how many steps of hints are shown.
        training: what is done with trainings; None for what suits the items.
        data: where the data set is.
    """

    notebooks: Sequence[Path]
    name: str
    wanted: Sequence[str]
    hint: int
    training: Mode | None
    data: Path | None

    @cached_property
    def assignment(self) -> Assignment:
        """The assignment.

        Raises:
            AssignmentError: there is none.
        """
        from grader.assignment import find_assignment

        return find_assignment(self.name)

    @cached_property
    def items(self) -> Sequence[Item]:
        """The items that are checked.

        Raises:
            InputError: no item is called so.
        """
        from grader.self_check.selection import find_items

        return find_items(self.assignment, self.wanted) if self.wanted else self.assignment.items

    def hints(self, report: Report, more: str) -> str:
        """Return the items of a report with their hints; `more` says how to get the next."""
        from grader.render.hints import render_hints

        return "\n\n".join(text for _, text in render_hints(self.assignment, report.items, self.hint, more))


def show_items(asked: CheckRequest) -> NoReturn:
    """Check the items that are asked for, and print their hints.

    Raises:
        typer.Exit: with the exit code, whatever came of it.
    """
    from grader.submission.submission import read_submission

    wanted = {item.id for item in asked.items}
    submission = read_submission(asked.notebooks)
    with show_progress() as progress:
        progress("starting the sandbox")
        with _grading(asked, trains=any(item.recipes for item in asked.items)) as grade:
            report = grade(submission, wanted, progress)
    print(asked.hints(report, "the same command with --item {item} --hint {hint}"))
    raise typer.Exit(PASSED if report.passed else NOT_PASSED)


def watch_notebooks(asked: CheckRequest) -> NoReturn:
    """Check now and after every save, until somebody presses Ctrl-C.

    Raises:
        typer.Exit: with the exit code of the last report.
    """
    from grader.submission.submission import read_submission

    read_submission(asked.notebooks)  # what is no notebook is told before the packages are imported
    view = _View(asked)
    try:
        with accept_interrupts(), _grading(asked, trains=False) as grade, view.open():
            from grader.self_check.watch import watch_submission

            for checked in watch_submission(asked.notebooks, asked.items, grade):
                view.show(checked)
    except KeyboardInterrupt:
        if view.checked is None:
            raise
    raise typer.Exit(PASSED if view.checked and view.checked.report.passed else NOT_PASSED)


@contextmanager
def _grading(asked: CheckRequest, *, trains: bool) -> Iterator[Grade]:
    """Give what grades some items, with one warm process for as long as it is needed."""
    from grader.models.recipe import Mode
    from grader.sandbox.host.sandbox import Zygote

    with ExitStack() as stack:
        zygote = stack.enter_context(Zygote(asked.assignment.packages))
        with hold_interrupts():
            from grader.grading.grade import grade
            from grader.training.devices import choose_default_mode
            from grader.training.trainer import offer_trainer

        mode = asked.training or (choose_default_mode() if trains else Mode.NONE)
        trainer = stack.enter_context(offer_trainer(mode, asked.data))

        def graded(submission: Submission, only: Collection[str], progress: Callable[[str], None]) -> Report:
            return grade(submission, asked.assignment, zygote, mode=mode, trainer=trainer, only=only, progress=progress)

        yield graded


class _View:
    """Shows each report: in place on a terminal, else in a line for each check."""

    def __init__(self, asked: CheckRequest) -> None:
        self.checked: CheckedState | None = None
        self._asked = asked
        self._before: dict[str, Verdict] = {}
        self._note = "checking; Ctrl-C ends"
        self._console = Console()
        self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="visible")

    @contextmanager
    def open(self) -> Iterator[None]:
        """Keep the terminal's lines for the report, which stays there at the end."""
        if not self._console.is_terminal:
            yield
            return
        with self._live:
            self._draw()
            yield

    def show(self, checked: CheckedState | SubmissionError) -> None:
        """Show a report, or why there is none."""
        if isinstance(checked, SubmissionError):
            self._note = f"{checked}; waiting for the next save"
            self._print(self._note)
        else:
            self._take(checked)
        if self._console.is_terminal:
            self._draw()

    def _take(self, checked: CheckedState) -> None:
        last = {} if self.checked is None else _verdicts(self.checked.report)
        saved = self.checked is None or checked.submission is not self.checked.submission
        if saved:
            self._before = last  # what is judged once more leaves the marks of the check before it
        how_many = "all items" if not checked.kept else f"{len(checked.judged)} of {len(checked.report.items)} items"
        what = f"{how_many} in {checked.seconds:.2f} s" if checked.judged else "no cell changed"
        self._note = f"{time.strftime('%H:%M:%S')}  {what}"
        self.checked = checked
        if saved or _verdicts(checked.report) != last:
            from grader.render.watch import render_line

            self._print(render_line(checked.report, last, self._note))

    def _print(self, text: str) -> None:
        from grader.render.text import sanitise_text

        if not self._console.is_terminal:
            print(" ".join(sanitise_text(text).split("\n")), flush=True)

    def _draw(self) -> None:
        from grader.render.text import sanitise_line
        from grader.render.watch import render_live_view

        if self.checked is None:
            self._live.update(sanitise_line(self._note), refresh=True)
            return
        report = self.checked.report
        more = self._asked.hints(report, "start again with --hint {hint}") if self._asked.wanted else ""
        shown = render_live_view(report, self.checked.kept, self._before, self._note, more, self._console.height)
        self._live.update(shown, refresh=True)


def _verdicts(report: Report) -> dict[str, Verdict]:
    return {item.id: item.verdict for item in report.items}

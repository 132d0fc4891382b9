"""Self-checks of `grader check`: some items with hints, and a live view that is updated after every save."""

from __future__ import annotations

import sys
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

from grader.cli.console import NOT_PASSED, PASSED, accept_interrupts, end_on_interrupt, show_progress
from grader.cli.handover import hand_over_to_new
from grader.cli.layers import AcceptLayers
from grader.cli.runner_log import is_ci
from grader.cli.submission_files import read_named
from grader.errors import RubricFault, SubmissionError

if TYPE_CHECKING:
    from grader.assignment import Assignment, Item
    from grader.models.recipe import Mode
    from grader.results.report import Report, Verdict
    from grader.self_check.watch import CheckedState, Grade
    from grader.submission.submission import Submission

__all__ = ["CheckRequest", "show_items", "watch_notebooks"]


@dataclass(frozen=True)
class CheckRequest:
    """The options of a self-check.

    Attributes:
        paths: the files and folders of one submission.
        assignment_name: the name of an assignment, or the path of its folder.
        names: the items to check, as `find_items` accepts them; empty for all.
        hint: the number of hints to show.
        training: how items earned by training are treated; None for what suits the items.
        data: the folder with the data set.
        unsafe: whether to check in CI without layers of the sandbox that strangers' work needs.
    """

    paths: Sequence[Path]
    assignment_name: str
    names: Sequence[str]
    hint: int
    training: Mode | None
    data: Path | None
    unsafe: bool = False

    @cached_property
    def assignment(self) -> Assignment:
        """The assignment.

        Raises:
            AssignmentError: it does not exist.
        """
        from grader.assignment import find_assignment

        return find_assignment(self.assignment_name)

    @cached_property
    def items(self) -> Sequence[Item]:
        """The items to check.

        Raises:
            InputError: a name matches no item.
        """
        from grader.self_check.selection import find_items

        return find_items(self.assignment, self.names) if self.names else self.assignment.items

    def render_hints(self, report: Report, more: str) -> str:
        """Return the items of a report with their hints; `more` describes how to get the next hint."""
        from grader.render.hints import render_hints
        from grader.results.reading_order import order_items

        items, cells = order_items(report.items), {file.name: file.cells for file in report.files}
        return "\n\n".join(text for _, text in render_hints(self.assignment, items, self.hint, more, cells))


def show_items(request: CheckRequest) -> NoReturn:
    """Check the requested items, and print their hints.

    Raises:
        typer.Exit: always, with the exit code.
    """
    from grader.render.text import sanitise_line
    from grader.submission.submission import require_notebook

    items = {item.id for item in request.items}
    submission = read_named(request.paths)
    require_notebook(submission)
    with show_progress() as progress:
        progress("starting the sandbox")
        hand_over_to_new(request.assignment, progress)
    for notice in submission.notices:
        print("note:", sanitise_line(str(notice)))
    with show_progress() as progress:
        progress("starting the sandbox")
        with _open_grader(request, trains=any(item.recipes for item in request.items)) as grade:
            report = grade(submission, items, progress)
    print(request.render_hints(report, "the same command with --item {item} --hint {hint}"))
    raise typer.Exit(PASSED if report.passed else NOT_PASSED)


def watch_notebooks(request: CheckRequest) -> NoReturn:
    """Check now and after every save, until Ctrl-C.

    Raises:
        typer.Exit: always, with the exit code of the last report.
    """
    from grader.collection import read_submission
    from grader.submission.submission import require_notebook

    require_notebook(read_submission(request.paths))  # report a broken one before the packages are imported
    hand_over_to_new(request.assignment)
    view = _ReportView(request)
    try:
        with accept_interrupts(), _open_grader(request, trains=False) as grade, view.open():
            from grader.self_check.watch import watch_submission

            for checked in watch_submission(request.paths, request.items, grade):
                view.show(checked)
    except KeyboardInterrupt:
        if view.checked is None:
            raise
    raise typer.Exit(PASSED if view.checked and view.checked.report.passed else NOT_PASSED)


@contextmanager
def _open_grader(request: CheckRequest, *, trains: bool) -> Iterator[Grade]:
    """Yield a function that grades some items, with one warm process for all its calls."""
    from grader.models.recipe import Mode
    from grader.sandbox.host.warm_processes import open_zygote

    with ExitStack() as stack:
        zygote = stack.enter_context(open_zygote(request.assignment))
        accept = AcceptLayers(is_ci() and not request.unsafe, sys.stdout)
        with end_on_interrupt(zygote.close):
            from grader.grading.grade import grade
            from grader.training.devices import choose_default_mode
            from grader.training.trainer import offer_trainer

        mode = request.training or (choose_default_mode() if trains else Mode.NONE)
        trainer = stack.enter_context(offer_trainer(mode, request.data))

        def grade_items(submission: Submission, only: Collection[str], progress: Callable[[str], None]) -> Report:
            return grade(
                submission,
                request.assignment,
                zygote,
                mode=mode,
                trainer=trainer,
                only=only,
                accept_layers=accept,
                progress=progress,
            )

        yield grade_items


class _ReportView:
    """Show each report: in place on a terminal, else as one line per check."""

    def __init__(self, request: CheckRequest) -> None:
        self.checked: CheckedState | None = None
        self._request = request
        self._before: dict[str, Verdict] = {}
        self._note = "checking; press Ctrl-C to end"
        self._console = Console()
        self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="visible")

    @contextmanager
    def open(self) -> Iterator[None]:
        """Show the view for the duration of the block; the last report stays on the terminal."""
        if not self._console.is_terminal:
            yield
            return
        with self._live:
            self._draw()
            yield

    def show(self, checked: CheckedState | RubricFault | SubmissionError) -> None:
        """Show a report, or why there is none."""
        if isinstance(checked, RubricFault | SubmissionError):
            self._note = f"{checked}; waiting for the next save"
            self._print(self._note)
        else:
            self._update(checked)
        if self._console.is_terminal:
            self._draw()

    def _update(self, checked: CheckedState) -> None:
        last = {} if self.checked is None else _get_verdicts(self.checked.report)
        was_saved = self.checked is None or checked.submission is not self.checked.submission
        if was_saved:
            self._before = last  # a second check of the same state keeps the marks of changed verdicts
        items = "all items" if not checked.kept else f"{len(checked.judged)} of {len(checked.report.items)} items"
        event = f"{items} in {checked.seconds:.2f} s" if checked.judged else "no cell changed"
        self._note = f"{time.strftime('%H:%M:%S')}  {event}"
        self.checked = checked
        if was_saved or _get_verdicts(checked.report) != last:
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
        more = self._request.render_hints(report, "start again with --hint {hint}") if self._request.names else ""
        width, height = self._console.size
        view = render_live_view(report, self.checked.kept, self._before, self._note, more, height, width)
        self._live.update(view, refresh=True)


def _get_verdicts(report: Report) -> dict[str, Verdict]:
    return {item.id: item.verdict for item in report.items}

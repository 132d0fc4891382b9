"""Commands for one submission and for this machine: check, doctor and schema."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer
from rich.console import Console

from grader.cli.console import (
    NOT_PASSED,
    PASSED,
    app,
    handle_errors,
    hold_interrupts,
    refuse_unwritable,
    show_progress,
    write_text,
)
from grader.cli.executed_notebooks import refuse_folder, write_executed
from grader.cli.formats import GradedSubmission, ReportFormat, fill_step_files, render
from grader.cli.minimum_score import MinimumScore
from grader.cli.self_check import CheckRequest, show_items, watch_notebooks
from grader.errors import InputError
from grader.models.recipe import Mode

if TYPE_CHECKING:
    from grader.assignment import Assignment
    from grader.results.report import Report
    from grader.submission.executed_notebook import ExecutedNotebook
    from grader.submission.submission import Submission

__all__ = ["check", "doctor", "schema"]


@app.command()
def check(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="The files of one submission: notebooks and what they use, a folder, or a zip file.",
            show_default=False,
        ),
    ],
    assignment: Annotated[str, typer.Option(help="The name of an assignment, or the path of its folder.")] = "hw2",
    json_file: Annotated[
        str, typer.Option("--json", help="Write the report as JSON to this file, - for standard output.")
    ] = "",
    html_file: Annotated[str, typer.Option("--html", help="Write the report as a single HTML page to this file.")] = "",
    form: Annotated[
        ReportFormat | None,
        typer.Option(
            "--format",
            help="Write the report in this format. github also writes the summary and the outputs of the step.",
        ),
    ] = None,
    out: Annotated[
        str, typer.Option(metavar="FILE", help="Write --format to this file.", show_default="standard output")
    ] = "",
    visibility: Annotated[
        Literal["visible", "after_due_date", "after_published", "hidden"],
        typer.Option(help="When Gradescope shows the items that the rubric hides."),
    ] = "after_published",
    min_score: Annotated[
        str,
        typer.Option(
            metavar="SCORE",
            help="Exit with 0 if the submission has this score: points such as 60, or a share of the decided points "
            "such as 80%.",
            show_default="every item passes",
        ),
    ] = "",
    executed: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Write the executed notebooks, with the outputs of their cells, to this folder."
        ),
    ] = None,
    item: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help="Check only this item, and show a hint. Give an id, the beginning of ids, or the name of a function "
            "or class. May be repeated.",
            show_default=False,
        ),
    ] = None,
    hint: Annotated[int, typer.Option(min=1, help="With --item: number of hints to show. Each one tells more.")] = 1,
    watch: Annotated[
        bool, typer.Option("--watch", help="Check again after every save, until you press Ctrl-C.")
    ] = False,
    training: Annotated[
        Mode | None,
        typer.Option(
            help="none: train nothing. quick: recipes for a CPU. full: the book's recipes, and the notebook's own "
            "training cells as written.",
            show_default="full with a GPU, else quick",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder with Fashion-MNIST.", show_default="see `grader data`"),
    ] = None,
) -> None:
    """Grade one submission, which may be several notebooks and the files that they use.

    Files that are no notebook are named in the report, and cost nothing but themselves. If no notebook can be read,
    nothing is decided: the reports are written, and the exit code is 2.
    """
    if item or watch or hint > 1:
        writes_report = bool(json_file or html_file or form or out or min_score or executed)
        with handle_errors():
            _self_check(CheckRequest(files, assignment, item or [], hint, training, data), watch, writes_report)
    with handle_errors(), show_progress() as progress:
        from grader.assignment import find_assignment
        from grader.collection import read_submission
        from grader.collection.reading import list_paths

        found = find_assignment(assignment)
        minimum = MinimumScore.parse(min_score, found.points) if min_score else None
        submission = read_submission(files)
        if out and not form:
            raise InputError("--out needs --format: give --format as well, or use --json FILE or --html FILE")
        targets = (json_file, html_file, (out or "-") if form else "")
        refuse_unwritable(*targets)
        if executed:
            refuse_folder(executed, list_paths(files))
        keep = partial(write_executed, executed) if executed else None
        report = _grade(submission, found, training, data, progress, keep)
        graded = GradedSubmission(report, submission, files, found, visibility)
        for target, target_format in zip(targets, (ReportFormat.JSON, ReportFormat.HTML, form), strict=True):
            if target and target_format:
                write_text(target, render(target_format, graded))
        if form is ReportFormat.GITHUB:
            fill_step_files(graded)
        progress("")
        if not report.is_readable:
            raise InputError(report.obstacle)
        if "-" not in targets:
            from grader.render.terminal import render_terminal

            render_terminal(report, Console())
        if minimum:
            print(f"grader: {minimum.describe(report)}", file=sys.stderr)
    passed = minimum.is_reached(report) if minimum else report.passed
    raise typer.Exit(PASSED if passed else NOT_PASSED)


def _grade(
    submission: Submission,
    assignment: Assignment,
    training: Mode | None,
    data: Path | None,
    progress: Callable[[str], None],
    keep: Callable[[Sequence[ExecutedNotebook]], None] | None,
) -> Report:
    """Grade a submission in a warm process of its own. If no notebook can be read, none is started."""
    if not submission.notebooks:
        from grader.grading.unreadable import report_unreadable

        return report_unreadable(submission, assignment)
    from grader.sandbox.host.sandbox import Zygote

    progress("starting the sandbox")
    with Zygote(assignment.packages) as zygote:
        # Imported here, while the warm process imports the same packages.
        with hold_interrupts():
            from grader.grading.grade import grade
            from grader.training.devices import choose_default_mode
            from grader.training.trainer import offer_trainer

        mode = training or choose_default_mode()
        with offer_trainer(mode, data) as trainer:
            return grade(submission, assignment, zygote, mode=mode, trainer=trainer, progress=progress, executed=keep)


def _self_check(request: CheckRequest, watch: bool, writes_report: bool) -> NoReturn:
    """Run a self-check of a student, and end the command."""
    if writes_report:
        raise InputError("--item and --watch show hints on the terminal: leave them out for a report or a score")
    if not request.names and request.hint > 1:
        raise InputError("--hint needs --item: give --item ID as well")
    if watch:
        watch_notebooks(request)
    show_items(request)


@app.command()
def doctor(
    assignment: Annotated[str, typer.Option(help="The name of an assignment, or the path of its folder.")] = "hw2",
) -> None:
    """Show which sandbox layers hold on this machine, which packages are installed, and what trainings would use."""
    with handle_errors(), show_progress() as progress:
        from grader.assignment import find_assignment
        from grader.render.text import sanitise_text
        from grader.sandbox.host.sandbox import Zygote

        found = find_assignment(assignment)
        progress("starting the sandbox")
        with Zygote(found.packages) as zygote, zygote.sandbox(found.limits) as sandbox:
            progress("")
            console = Console()
            for layer in sandbox.layers:
                console.print(f"{'on ' if layer.on else 'off'}  {layer.name:22}{layer.reason}", markup=False)
            for package in found.packages:
                console.print(f"{package}: {zygote.missing.get(package, 'imported')}", markup=False)
            complete = all(layer.on for layer in sandbox.layers) and not zygote.missing
            with hold_interrupts():
                from grader.training.inventory import describe_training

            for name, text in describe_training():
                console.print(f"{name}: {sanitise_text(text)}", markup=False, soft_wrap=True)
    raise typer.Exit(PASSED if complete else NOT_PASSED)


@app.command()
def schema() -> None:
    """Print the JSON schema of reports."""
    import json

    from grader.results.report import load_report_schema

    print(json.dumps(load_report_schema(), indent=2))

"""Commands on one submission and on this machine: check, doctor, schema."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, NoReturn

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

__all__ = ["check", "doctor", "schema"]


@app.command()
def check(
    notebooks: Annotated[list[Path], typer.Argument(help="The notebooks of one submission.", show_default=False)],
    assignment: Annotated[str, typer.Option(help="An assignment's name, or the path of its folder.")] = "hw2",
    json_file: Annotated[
        str, typer.Option("--json", help="Write the report as JSON here, - for standard output.")
    ] = "",
    html_file: Annotated[str, typer.Option("--html", help="Write the report as one HTML file here.")] = "",
    form: Annotated[
        ReportFormat | None,
        typer.Option("--format", help="Write the report so; github also fills the step's summary and outputs."),
    ] = None,
    out: Annotated[str, typer.Option(metavar="FILE", help="Where --format goes.", show_default="standard output")] = "",
    visibility: Annotated[
        Literal["visible", "after_due_date", "after_published", "hidden"],
        typer.Option(help="When Gradescope shows the items that the rubric does not show."),
    ] = "after_published",
    min_score: Annotated[
        str,
        typer.Option(
            metavar="SCORE",
            help="Exit with 0 if so many of the points that are decided are earned: points such as 60, or a share such "
            "as 80%.",
            show_default="every item passes",
        ),
    ] = "",
    executed: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write the notebooks here as they ran, with what their cells showed."),
    ] = None,
    item: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help="Check this item alone and show a hint to it; the beginning of ids, or a name that is to be defined, "
            "will do. May be given several times.",
            show_default=False,
        ),
    ] = None,
    hint: Annotated[
        int, typer.Option(min=1, help="With --item: how many hints are shown; each tells more than the one before.")
    ] = 1,
    watch: Annotated[bool, typer.Option("--watch", help="Check again after every save, until Ctrl-C.")] = False,
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
) -> None:
    """Check one submission of one or more notebooks."""
    if item or watch or hint > 1:
        reports = bool(json_file or html_file or form or out or min_score or executed)
        with handle_errors():
            _self_check(CheckRequest(notebooks, assignment, item or [], hint, training, data), watch, reports)
    with handle_errors(), show_progress() as progress:
        from grader.assignment import find_assignment
        from grader.sandbox.host.sandbox import Zygote
        from grader.submission.submission import read_submission

        found = find_assignment(assignment)
        least = MinimumScore.parse(min_score, found.points) if min_score else None
        submission = read_submission(notebooks)
        if out and not form:
            raise InputError("--out says where --format goes: give --format as well, or --json FILE or --html FILE")
        targets = (json_file, html_file, (out or "-") if form else "")
        refuse_unwritable(*targets)
        if executed:
            refuse_folder(executed, notebooks)
        progress("starting the sandbox")
        with Zygote(found.packages) as zygote:
            # Imported here, so that the warm process imports the same packages meanwhile.
            with hold_interrupts():
                from grader.grading.grade import grade
                from grader.training.devices import choose_default_mode
                from grader.training.trainer import offer_trainer

            mode = training or choose_default_mode()
            with offer_trainer(mode, data) as trainer:
                keep = partial(write_executed, executed) if executed else None
                report = grade(submission, found, zygote, mode=mode, trainer=trainer, progress=progress, executed=keep)
        graded = GradedSubmission(report, submission, notebooks, found, visibility)
        for where, wanted in zip(targets, (ReportFormat.JSON, ReportFormat.HTML, form), strict=True):
            if where and wanted:
                write_text(where, render(wanted, graded))
        if form is ReportFormat.GITHUB:
            fill_step_files(graded)
        progress("")
        if "-" not in targets:
            from grader.render.terminal import render_terminal

            render_terminal(report, Console())
        if least:
            print(f"grader: {least.told(report)}", file=sys.stderr)
    enough = least.reached(report) if least else report.passed
    raise typer.Exit(PASSED if enough else NOT_PASSED)


def _self_check(asked: CheckRequest, watch: bool, reports: bool) -> NoReturn:
    """Do what a student asks for at work, and end."""
    if reports:
        raise InputError("--item and --watch show hints on the terminal: for a report or a score leave them out")
    if not asked.wanted and asked.hint > 1:
        raise InputError("--hint tells more about one item: give --item ID as well")
    if watch:
        watch_notebooks(asked)
    show_items(asked)


@app.command()
def doctor(
    assignment: Annotated[str, typer.Option(help="An assignment's name, or the path of its folder.")] = "hw2",
) -> None:
    """Tell which sandbox layers hold on this machine, which packages are there, and what trainings would use."""
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

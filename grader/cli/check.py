"""`grader check`: grade one submission."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer
from rich.console import Console

from grader.cli.completion import complete_assignments, complete_formats, complete_items
from grader.cli.console import (
    NO_DAEMON,
    NOT_PASSED,
    PASSED,
    SYSTEM_FAULT,
    UNSAFE,
    app,
    end_on_interrupt,
    handle_errors,
    print_error,
    save_reports,
    show_progress,
)
from grader.cli.devices import DEVICES, hold_one
from grader.cli.executed_notebooks import refuse_folder, write_executed
from grader.cli.formats import GradedSubmission, ReportFormat, fill_step_files, render
from grader.cli.handover import hand_over_to_new
from grader.cli.help_pages import Section
from grader.cli.layers import AcceptLayers
from grader.cli.minimum_score import MinimumScore
from grader.cli.report_targets import ReportTarget, choose_targets
from grader.cli.runner_log import is_ci
from grader.cli.self_check import CheckRequest, show_items, watch_notebooks
from grader.cli.submission_files import is_standard_input, read_named
from grader.errors import InputError
from grader.models.recipe import Mode

if TYPE_CHECKING:
    from grader.assignment import Assignment
    from grader.gpu.device import GPU
    from grader.results.report import Report
    from grader.submission.executed_notebook import ExecutedNotebook
    from grader.submission.submission import Submission

__all__ = ["check"]


@app.command(
    section=Section.SUBMISSION,
    examples="""
        grader check hw2.ipynb
        grader check hw2.ipynb layers.py data/
        grader check .
        grader check hw2.ipynb --html report.html
        grader check hw2.ipynb --item corr2d
        grader check hw2.ipynb --watch
        grader check hw2.ipynb --format github --format junit=grader.xml --min-score 80%
        grader check - < hw2.ipynb
    """,
)
def check(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="The files of one submission: notebooks and what they use, a folder, a zip file, or - for a notebook "
            "on standard input.",
            show_default=False,
        ),
    ],
    assignment: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="The name of an assignment, or the path of its folder.",
            autocompletion=complete_assignments,
        ),
    ] = "hw2",
    json_file: Annotated[
        str,
        typer.Option(
            "--json",
            metavar="FILE",
            help="Write the report as JSON to this file, - for standard output.",
            show_default=False,
        ),
    ] = "",
    html_file: Annotated[
        str,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Write the report as a single HTML page to this file.",
            show_default=False,
        ),
    ] = "",
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            metavar="FORMAT[=FILE]",
            help=f"Write the report in this format: {', '.join(ReportFormat)}. Without a file it goes to standard "
            "output. github also writes the summary and the outputs of the step. May be repeated.",
            autocompletion=complete_formats,
        ),
    ] = None,
    out: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Write --format to this file: --out FILE is short for --format FORMAT=FILE."),
    ] = None,
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
            autocompletion=complete_items,
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
    devices: Annotated[str, DEVICES] = "",
    unsafe: Annotated[bool, UNSAFE] = False,
    no_daemon: Annotated[bool, NO_DAEMON] = False,
) -> None:
    """Grade one submission, which may be several notebooks and the files that they use.

    Files that are no notebook are named in the report, and cost nothing but themselves. If no notebook can be read,
    nothing is decided: the reports are written, and the exit code is 2.

    In CI (if the variable CI is set, or the format is one for CI) the work is taken for a stranger's: if this machine
    lacks a required layer of the sandbox, nothing is graded, and the exit code is 2.

    Exit codes: 0 every automatic item passed (with --min-score: the score is reached), 1 not so, 2 the input or the
    command is wrong, 3 the system failed, 130 interrupted.
    """
    if item or watch or hint > 1:
        writes_report = bool(json_file or html_file or formats or out or min_score or executed)
        with handle_errors():
            _self_check(CheckRequest(files, assignment, item or [], hint, training, data, unsafe), watch, writes_report)
    with handle_errors(), show_progress() as progress:
        from grader.assignment import find_assignment
        from grader.collection.reading import list_paths

        targets = choose_targets(json_file, html_file, formats or (), out or ())
        found = find_assignment(assignment)
        minimum = MinimumScore.parse(min_score, found.points) if min_score else None
        submission = read_named(files)
        paths = [] if is_standard_input(files) else files
        if executed:
            refuse_folder(executed, list_paths(paths) if paths else [])
        keep = partial(write_executed, executed) if executed else None
        prints_report = all(target.file != "-" for target in targets)
        strangers = is_ci() or any(target.is_for_ci for target in targets)
        accept = AcceptLayers(strangers and not unsafe, sys.stdout if prints_report else sys.stderr, progress)
        with hold_one(devices) as gpu:
            report = _grade(submission, found, training, data, gpu, progress, keep, accept)
        problems = _write_reports(targets, GradedSubmission(report, submission, paths, found, visibility))
        progress("")
        if not report.is_readable:
            raise InputError(report.obstacle)
        if prints_report:
            from grader.render.terminal import render_terminal

            render_terminal(report, Console())
        if minimum:
            print(f"grader: {minimum.describe(report)}", file=sys.stderr)
        for problem in problems:
            print_error(problem)
        if problems:
            raise typer.Exit(SYSTEM_FAULT)
    passed = minimum.is_reached(report) if minimum else report.passed
    raise typer.Exit(PASSED if passed else NOT_PASSED)


def _write_reports(targets: Sequence[ReportTarget], graded: GradedSubmission) -> list[str]:
    """Write the reports, and return what could not be written: no report is lost over another one."""
    problems = save_reports([(target.file, render(target.form, graded)) for target in targets])
    if any(target.form is ReportFormat.GITHUB for target in targets):
        try:
            fill_step_files(graded)
        except InputError as error:
            problems.append(str(error))
    return problems


def _grade(
    submission: Submission,
    assignment: Assignment,
    training: Mode | None,
    data: Path | None,
    gpu: GPU | None,
    progress: Callable[[str], None],
    keep: Callable[[Sequence[ExecutedNotebook]], None] | None,
    accept: AcceptLayers,
) -> Report:
    """Grade a submission in a warm process of its own. If no notebook can be read, none is started."""
    if not submission.notebooks:
        from grader.grading.unreadable import report_unreadable

        return report_unreadable(submission, assignment)
    progress("starting the sandbox")
    hand_over_to_new(assignment, progress)
    from grader.gpu.access import find_library_folders
    from grader.sandbox.host.warm_processes import open_zygote

    with open_zygote(assignment, find_library_folders([gpu] if gpu else ())) as zygote:
        # Imported here, while the warm process imports the same packages.
        with end_on_interrupt(zygote.close):
            from grader.grading.grade import grade
            from grader.training.devices import choose_default_mode
            from grader.training.trainer import offer_trainer

        mode = training or (Mode.FULL if gpu else choose_default_mode())
        with offer_trainer(mode, data, gpu) as trainer:
            return grade(
                submission,
                assignment,
                zygote,
                mode=mode,
                trainer=trainer,
                gpu=gpu,
                accept_layers=accept,
                progress=progress,
                executed=keep,
            )


def _self_check(request: CheckRequest, watch: bool, writes_report: bool) -> NoReturn:
    """Run a self-check of a student, and end the command."""
    if writes_report:
        raise InputError("--item and --watch show hints on the terminal: leave them out for a report or a score")
    if not request.names and request.hint > 1:
        raise InputError("--hint needs --item: give --item ID as well")
    if watch and is_standard_input(request.paths):
        raise InputError("--watch needs a file that is saved again: name the notebook in place of -")
    if watch:
        watch_notebooks(request)
    show_items(request)

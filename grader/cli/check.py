"""Commands on one submission and on this machine: check, doctor, schema."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from grader.cli.console import (
    NOT_PASSED,
    PASSED,
    app,
    exit_codes,
    interrupts_held,
    refuse_unwritable,
    shown_progress,
    write_text,
)
from grader.recipe import Mode

__all__ = ["check", "doctor", "schema"]


@app.command()
def check(
    notebooks: Annotated[list[Path], typer.Argument(help="The notebooks of one submission.", show_default=False)],
    assignment: Annotated[str, typer.Option(help="An assignment's name, or the path of its folder.")] = "hw2",
    json_file: Annotated[
        str, typer.Option("--json", help="Write the report as JSON here, - for standard output.")
    ] = "",
    html_file: Annotated[str, typer.Option("--html", help="Write the report as one HTML file here.")] = "",
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
    with exit_codes(), shown_progress() as progress:
        from grader.assignment import find_assignment
        from grader.sandbox.sandbox import Zygote
        from grader.submission import read_submission

        found = find_assignment(assignment)
        submission = read_submission(notebooks)
        refuse_unwritable(json_file, html_file)
        progress("starting the sandbox")
        with Zygote(found.packages) as zygote:
            # Imported here, so that the warm process imports the same packages meanwhile.
            with interrupts_held():
                from grader.grade import grade
                from grader.training.devices import default_mode
                from grader.training.trainer import offered_trainer

            mode = training or default_mode()
            with offered_trainer(mode, data) as trainer:
                report = grade(submission, found, zygote, mode=mode, trainer=trainer, progress=progress)
        if html_file:
            from grader.render.html import render_html

            write_text(html_file, render_html(report))
        if json_file:
            write_text(json_file, report.to_json())
        progress("")
        if "-" not in (json_file, html_file):
            from grader.render.terminal import render_terminal

            render_terminal(report, Console())
    raise typer.Exit(PASSED if report.passed else NOT_PASSED)


@app.command()
def doctor(
    assignment: Annotated[str, typer.Option(help="An assignment's name, or the path of its folder.")] = "hw2",
) -> None:
    """Tell which sandbox layers hold on this machine, which packages are there, and what trainings would use."""
    with exit_codes(), shown_progress() as progress:
        from grader.assignment import find_assignment
        from grader.render.text import plain
        from grader.sandbox.sandbox import Zygote

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
            with interrupts_held():
                from grader.training.inventory import training_facts

            for name, text in training_facts():
                console.print(f"{name}: {plain(text)}", markup=False, soft_wrap=True)
    raise typer.Exit(PASSED if complete else NOT_PASSED)


@app.command()
def schema() -> None:
    """Print the JSON schema of reports."""
    import json

    from grader.report import report_schema

    print(json.dumps(report_schema(), indent=2))

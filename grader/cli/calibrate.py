"""`grader calibrate`: find the accuracy that trainings must reach."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from grader.cli.completion import complete_assignments
from grader.cli.console import NOT_PASSED, PASSED, app, end_on_interrupt, handle_errors, show_progress
from grader.cli.help_pages import Section
from grader.errors import InputError
from grader.models.recipe import Mode

__all__ = ["calibrate"]


@app.command(
    section=Section.ASSIGNMENT,
    examples="""
        grader calibrate hw2
        grader calibrate hw2 right.ipynb --seeds 40 --write
    """,
)
def calibrate(
    assignment: Annotated[
        str,
        typer.Argument(
            help="The name of an assignment, or the path of its folder.", autocompletion=complete_assignments
        ),
    ],
    notebooks: Annotated[
        list[Path] | None, typer.Argument(help="More notebooks whose models are known to be right.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=2, help="Number of trainings for each model.")] = 20,
    models: Annotated[int, typer.Option(min=1, help="Number of models for each item, the most frequent first.")] = 3,
    training: Annotated[Mode, typer.Option(help="The recipes to calibrate: quick or full.")] = Mode.QUICK,
    data: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Folder with Fashion-MNIST.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Write the thresholds into rubric.toml.")] = False,
) -> None:
    """Train right models with many seeds, and compute the accuracy that a training must reach.

    Exit codes: 0 right models fail less than once in 10,000 trainings, 1 a recipe does not tell right models from wrong
    ones.
    """
    with handle_errors(), show_progress() as progress:
        from grader.assignment import find_assignment
        from grader.collection import read_submission
        from grader.sandbox.host.sandbox import Zygote
        from grader.submission.submission import require_notebook

        found = find_assignment(assignment)
        others = {path.name: read_submission([path]) for path in notebooks or ()}
        for submission in others.values():
            require_notebook(submission)
        with Zygote(found.packages) as zygote:
            with end_on_interrupt(zygote.close):
                from grader.authoring.calibrate import calibrate, describe_machine, write_thresholds
                from grader.gpu.nvml import open_driver
                from grader.training.trainer import offer_trainer

            with offer_trainer(training, data) as trainer:
                if trainer is None:
                    raise InputError("there is nothing to train on: give --training quick, and see `grader data`")
                calibrations = calibrate(
                    found, zygote, trainer, training, seeds=seeds, models=models, others=others, progress=progress
                )
                machine = describe_machine(trainer, open_driver() if trainer.gpu else None)
        progress("")
        from grader.render.calibration import render_calibrations

        render_calibrations(calibrations, Console())
        if write:
            print("wrote", write_thresholds(found, calibrations, machine))
    raise typer.Exit(PASSED if all(calibration.good for calibration in calibrations) else NOT_PASSED)

"""`grader worker`: grade the submissions that a server accepted."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated

import typer

from grader.cli.console import app, handle_errors

__all__ = ["worker"]


class _Queue(StrEnum):
    CPU = "cpu"
    GPU = "gpu"


@app.command()
def worker(
    queue: Annotated[
        list[_Queue],
        typer.Option(help="The queue to work on: cpu (definitions) or gpu (full trainings). May be repeated."),
    ] = [_Queue.CPU],  # noqa: B006 - typer only reads it
    processes: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of submissions to grade at once.", show_default="one per core; 1 for gpu alone"
        ),
    ] = None,
) -> None:
    """Grade the submissions that a server accepted, until SIGTERM.

    Settings are read from GRADER_DATABASE, GRADER_BROKER and other variables.

    Exit codes: 0 stopped by a signal, 2 a setting is wrong or the database is not migrated, 3 the system failed.
    """
    with handle_errors():
        from grader.service.settings import Settings
        from grader.service.worker import run_worker

        count = processes or (len(os.sched_getaffinity(0)) if _Queue.CPU in queue else 1)
        code = run_worker(Settings.from_environment(), list(dict.fromkeys(map(str, queue))), count)
    raise typer.Exit(code)

"""`grader worker`: grade what a server accepted."""

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
        list[_Queue], typer.Option(help="What to take: cpu (definitions), gpu (full trainings). May be repeated.")
    ] = [_Queue.CPU],  # noqa: B006 - typer only reads it
    processes: Annotated[
        int | None,
        typer.Option(
            min=1, help="How many submissions are graded at once.", show_default="one on each core; gpu alone: 1"
        ),
    ] = None,
) -> None:
    """Grade what a server accepted, until SIGTERM; settings are read from GRADER_DATABASE, GRADER_BROKER and others.

    Exit codes: 0 it was told to stop, 2 a setting is wrong or the database is not migrated, 3 the system failed.
    """
    with handle_errors():
        from grader.service.settings import Settings
        from grader.service.worker import run_worker

        at_once = processes or (len(os.sched_getaffinity(0)) if _Queue.CPU in queue else 1)
        code = run_worker(Settings.from_environment(), list(dict.fromkeys(map(str, queue))), at_once)
    raise typer.Exit(code)

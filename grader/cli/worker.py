"""`grader worker`: grade the submissions that a server accepted."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from grader.cli.console import app, handle_errors
from grader.cli.help_pages import Section

if TYPE_CHECKING:
    from grader.service.settings import Settings

__all__ = ["worker"]


@app.command(
    section=Section.SERVER,
    examples="""
        grader worker --queue cpu --processes 4
        grader worker --queue gpu --devices all
        grader worker --queue gpu-small --devices 0,1
    """,
)
def worker(
    queue: Annotated[
        list[str],
        typer.Option(
            help="The queue to work on: cpu (definitions), gpu (full trainings), or gpu- and a word that rubrics name, "
            "such as gpu-small. May be repeated."
        ),
    ] = ["cpu"],  # noqa: B006 - typer only reads it
    processes: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of submissions to grade at once.", show_default="one per core; 1 for gpu alone"
        ),
    ] = None,
    devices: Annotated[
        str,
        typer.Option(
            help="Start one worker for each of these GPUs: all, or numbers and UUIDs, separated by commas.",
            show_default="the GPU of CUDA_VISIBLE_DEVICES, or the only one",
        ),
    ] = "",
) -> None:
    """Grade the submissions that a server accepted, until SIGTERM.

    Settings are read from GRADER_DATABASE, GRADER_BROKER and other variables.

    Exit codes: 0 stopped by a signal, 2 a setting is wrong, the database is not migrated, or
    this machine lacks a required layer of the sandbox, 3 the system failed, or no GPU is left, 72 its GPU failed.
    """
    with handle_errors():
        from grader.errors import InputError
        from grader.service.queues import CPU, read_queues
        from grader.service.settings import Settings
        from grader.service.worker import run_worker

        queues = read_queues(queue)
        settings = Settings.from_environment()
        if devices:
            if (processes or 1) > 1:
                raise InputError(f"one submission at a time uses a GPU: leave out --processes {processes}")
            code = _run_pool(settings, queues, devices)
        else:
            code = run_worker(settings, queues, processes or (len(os.sched_getaffinity(0)) if CPU in queues else 1))
    raise typer.Exit(code)


def _run_pool(settings: Settings, queues: Sequence[str], devices: str) -> int:
    from grader.errors import InputError
    from grader.gpu.nvml import explain_no_driver, open_driver
    from grader.gpu.own import list_selected
    from grader.service.device_pool import DevicePool, require_gpu_queues
    from grader.service.json_log import log_as_json
    from grader.service.worker import check_settings

    require_gpu_queues(queues)
    driver = open_driver()
    if driver is None:
        raise InputError(f"--devices: {explain_no_driver()}")
    gpus = list_selected(driver, devices)
    check_settings(settings)
    log_as_json({})
    options = [option for queue in queues for option in ("--queue", queue)]
    start = [sys.executable, "-c", "from grader.cli.entry import main; main()"]
    return DevicePool(driver, gpus, [*start, "worker", *options, "--processes", "1"]).run()

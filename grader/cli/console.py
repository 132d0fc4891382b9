"""The application and what its commands share: exit codes, errors, progress and output files."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, TextIO, cast

import typer

from grader.cli.command_line import BROKEN_PIPE, CommandLine, is_broken_pipe, print_error, silence
from grader.cli.interrupts import INTERRUPTED, accept_interrupts, end_on_interrupt
from grader.cli.output_files import refuse_unwritable, save_reports, write_text
from grader.cli.progress import show_progress
from grader.cli.runner_log import RunnerLog, is_ci
from grader.errors import GraderError, InputError

__all__ = [
    "INTERRUPTED",
    "NOT_PASSED",
    "NO_DAEMON",
    "PASSED",
    "SYSTEM_FAULT",
    "UNSAFE",
    "WRONG_INPUT",
    "accept_interrupts",
    "app",
    "end_on_interrupt",
    "handle_errors",
    "print_error",
    "refuse_unwritable",
    "save_reports",
    "show_progress",
    "write_text",
]

# Packages of the extra `grading`, by the names that are imported; what else is missing belongs to `service`.
_GRADING = {
    *("IPython", "ipykernel", "jupyter_client", "markdown_it", "nbclient", "nbformat", "pyseccomp", "tomlkit", "zmq"),
    *("torch", "torchvision"),
}

PASSED, NOT_PASSED, WRONG_INPUT, SYSTEM_FAULT = 0, 1, 2, 3

UNSAFE = typer.Option(
    "--unsafe",
    envvar="GRADER_UNSAFE",
    help="Grade even if this machine lacks layers of the sandbox that strangers' work needs; see `grader doctor`.",
)

# Read before the command is imported (`handover.py`).
NO_DAEMON = typer.Option(
    "--no-daemon",
    envvar="GRADER_NO_DAEMON",
    help="Neither use nor start the resident grader; see `grader daemon`. In CI there is none.",
)

app = CommandLine(help="Grade deep-learning notebooks in a sandbox that knows no answers.", opens_files=True)


def _show_version(wanted: bool) -> None:
    if wanted:
        from grader.cli.version import describe_version

        print(describe_version())
        raise typer.Exit


@app.callback(
    epilog="""
    Examples:
      grader hw2.ipynb
      grader check hw2.ipynb --item corr2d
      grader batch submissions.zip --out reports/

    `grader FILE` means `grader check FILE`. `grader COMMAND -h` explains a command.

    Exit codes: 0 every automatic item passed, 1 some did not, 2 the input or the command is wrong, 3 the system failed,
    130 interrupted.
    """
)
def _start(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            "-V",
            callback=_show_version,
            is_eager=True,
            help="Show the versions of the grader, of Python and of torch.",
        ),
    ] = False,
) -> None:
    """Run before each command."""


@contextmanager
def handle_errors() -> Iterator[None]:
    """Turn our exceptions into one clear line and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show Korean still gets its report
    if is_ci():
        # What a student wrote may look like a command to the runner that reads this log.
        sys.stdout, sys.stderr = (
            stream if isinstance(stream, RunnerLog) else cast(TextIO, RunnerLog(stream))
            for stream in (sys.stdout, sys.stderr)
        )
    try:
        yield
    except InputError as error:
        _fail(str(error), WRONG_INPUT)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in ("grader", "reference"):
            raise
        missing = error.name.partition(".")[0]
        extra = "grading" if missing in _GRADING else "service"
        _fail(f"this command needs {missing}: pip install 'notebook-grader[{extra}]'", WRONG_INPUT)
    except GraderError as error:
        _fail(f"the grader failed, not the submission: {error}", SYSTEM_FAULT)
    except (OSError, MemoryError) as error:
        if is_broken_pipe(error):
            silence()
            raise typer.Exit(BROKEN_PIPE) from None
        _fail(f"this machine failed, not the submission: {_describe_failure(error)}", SYSTEM_FAULT)


def _describe_failure(error: OSError | MemoryError) -> str:
    if isinstance(error, MemoryError):
        return "it has not enough memory"
    name = error.filename.decode(errors="replace") if isinstance(error.filename, bytes) else error.filename
    return f"{name}: {error.strerror}" if name and error.strerror else error.strerror or str(error) or "an input error"


def _fail(message: str, code: int) -> None:
    from grader.render.text import sanitise_text

    # File names and messages of a student's code may contain terminal commands.
    text = sanitise_text(message)
    print_error(" ".join(text.split()) if code == WRONG_INPUT else text)
    raise typer.Exit(code)

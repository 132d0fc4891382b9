"""Command lines of `grader` in files for others to run: read by the command line's own parser, and not run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

import typer.main

from grader.cli import app

__all__ = ["parse"]


def parse(line: str | Sequence[str]) -> dict[str, Any]:
    """Return the options of a command line that begins with `grader`.

    Raises:
        UsageError: there is no such option, or a value is missing.
    """
    program, *words = shlex.split(line) if isinstance(line, str) else line
    assert program == "grader", line
    command: Any = typer.main.get_command(app)
    context = command.make_context("grader", [], resilient_parsing=True)
    while hasattr(command, "commands"):
        name, command, words = command.resolve_command(context, words)
        assert command is not None, f"there is no such command: {line}"
        context = command.make_context(
            name, list(words), parent=context, resilient_parsing=hasattr(command, "commands")
        )
    options: dict[str, Any] = context.params
    return options

"""The process of the resident grader: `python -m grader.cli.resident_process NAME FOLDER LINE ASSIGNMENT`.

`grader/resident/client.py` starts it; see `grader/resident/server.py`.
"""

from __future__ import annotations

import importlib
import os
import socket
import sys
from collections.abc import Sequence
from functools import cache

from rich.cells import get_character_cell_size

from grader.cli.typer_internals import TyperGroup
from grader.resident.server import ResidentGrader

__all__ = ["main"]

_IDLE_SECONDS = 600.0
# What commands import when they need it.
_MODULES = (
    *("grader.cli.commands", "grader.collection.reading", "grader.grading.grade", "grader.grading.unreadable"),
    *("grader.render.terminal", "grader.render.hints", "grader.render.html", "grader.results.reading_order"),
    *("grader.self_check.selection", "grader.self_check.watch", "grader.render.watch"),
    *("grader.training.devices", "grader.training.trainer", "grader.training.probing"),
    *("grader.batch.batch", "grader.batch.child", "torch", "torchvision"),
)


def main(name: str, folder: str, line: str, assignment: str) -> None:
    """Serve until there is a reason to end.

    Args:
        name: the name of the socket, without its suffix.
        folder: the number of a descriptor of its folder.
        line: the number of the descriptor of the first connection.
        assignment: the folder of the assignment of the first command.
    """
    seconds = float(os.environ.get("GRADER_DAEMON_SECONDS") or _IDLE_SECONDS)
    os.chdir("/")  # no folder of a user is kept in use
    ResidentGrader(name, int(folder), _load, _run, seconds).serve(socket.socket(fileno=int(line)), assignment)
    sys.stderr.flush()
    os._exit(0)  # to take torch apart would keep `grader daemon stop` waiting


def _load() -> None:
    """Import what commands need, and let the libraries of the command line import what they do at their first use."""
    for module in _MODULES:
        importlib.import_module(module)
    command_line = _build_command_line()
    with command_line.make_context("grader", ["check"]) as context:
        check = command_line.get_command(context, "check")
        assert check is not None
        check.make_context("check", ["hw2.ipynb", "--training", "none"])
    get_character_cell_size("é")


@cache
def _build_command_line() -> TyperGroup:
    from typer.main import get_group

    from grader.cli.commands import app

    return get_group(app)


def _run(words: Sequence[str]) -> None:
    """Run a command line in a fork."""
    from grader.batch.loading import prepare_fork

    if words[0] == "batch":
        prepare_fork()
    sys.argv = ["grader", *words]
    _build_command_line()()


if __name__ == "__main__":
    main(*sys.argv[1:])

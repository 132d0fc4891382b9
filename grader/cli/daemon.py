"""`grader daemon`: the resident grader, which keeps everything loaded between commands."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from grader.cli.command_line import CommandLine
from grader.cli.console import NOT_PASSED, PASSED, app, handle_errors
from grader.cli.help_pages import Section

__all__ = ["daemon", "status", "stop"]

daemon = CommandLine(help="Show or stop the resident grader, which makes the next command start at once.")
app.add_typer(daemon, name="daemon", rich_help_panel=Section.MACHINE)


@daemon.command(examples="grader daemon status\ngrader daemon status --json")
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list, with one object for each.")] = False,
) -> None:
    """Show the resident graders of this user.

    `grader check` and `grader batch` start one when they first need it, unless --no-daemon is given, GRADER_NO_DAEMON
    is set, or a CI system runs them. It ends after ten minutes without a command.

    Exit codes: 0 there is one, 1 there is none.
    """
    with handle_errors():
        from grader.resident.client import ask_all

        found = [{**each, "memory_bytes": _measure_memory(each)} for each in ask_all("status")]
        if as_json:
            print(json.dumps(found, indent=2))
        elif not found:
            print("no resident grader runs; the next `grader check` or `grader batch` starts one")
        for each in found if not as_json else ():
            print(_describe(each))
    raise typer.Exit(PASSED if found else NOT_PASSED)


@daemon.command(examples="grader daemon stop")
def stop() -> None:
    """Stop the resident graders of this user, each when its commands have ended."""
    with handle_errors():
        from grader.resident.client import ask_all

        stopped = [each["pid"] for each in ask_all("stop")]
        for pid in stopped:
            print(f"stopped process {pid}")
        if not stopped:
            print("no resident grader runs")


def _describe(resident: Mapping[str, Any]) -> str:
    minutes = (time.time() - resident["started"]) / 60
    commands, running, left = resident["commands"], resident["running"], resident["seconds_left"]
    state = f"{running} running" if running else f"ends in {left / 60:.0f} min if nothing uses it"
    assignments = ", ".join(Path(folder).name for folder in resident["assignments"])
    return (
        f"process {resident['pid']}: started {minutes:.0f} min ago, {commands} command{'s' if commands != 1 else ''}, "
        f"{state}; "
        f"{resident['memory_bytes'] / 2**20:.0f} MiB; {assignments or 'no assignment'} loaded"
    )


def _measure_memory(resident: Mapping[str, Any]) -> int:
    """Return the bytes that the process and its warm processes take, each shared page divided by its users."""
    total = 0
    for pid in (resident["pid"], *resident["warm_processes"]):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:  # it has ended
            continue
        total += sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total

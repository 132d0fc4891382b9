"""Commands for data sets: data list and data fetch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grader.cli.command_line import CommandLine
from grader.cli.console import app, end_on_interrupt, handle_errors, refuse_unwritable, show_progress, write_text
from grader.cli.help_pages import Section

__all__ = ["data", "fetch", "list_data_sets"]

data_sets = CommandLine(invoke_without_command=True, help="Find and fetch the data sets that trainings use.")
app.add_typer(data_sets, name="data", rich_help_panel=Section.ASSIGNMENT)


@data_sets.callback()
def data(context: typer.Context) -> None:
    """Find and fetch the data sets that trainings use. Without a command, list them."""
    if context.invoked_subcommand is None:
        list_data_sets()


@data_sets.command("list")
def list_data_sets(
    json_file: Annotated[
        str, typer.Option("--json", help="Write the list as JSON to this file, - for standard output.")
    ] = "",
) -> None:
    """List the data sets that were found, and their folders."""
    import json
    from dataclasses import asdict

    with handle_errors():
        from grader.render.text import sanitise_text

        refuse_unwritable(json_file)
        with end_on_interrupt():
            from grader.training.inventory import find_all_data_sets

        found = find_all_data_sets()
        if json_file:
            write_text(json_file, json.dumps([asdict(data_set) for data_set in found], indent=1) + "\n")
        if json_file != "-":
            for data_set in found:
                status = data_set.problem or f"{data_set.folder} ({data_set.origin})"
                print(f"{data_set.name:14}{sanitise_text(status)}")


@data_sets.command()
def fetch(
    names: Annotated[
        list[str] | None, typer.Argument(help="The data sets to fetch.", show_default="FashionMNIST")
    ] = None,
    mirror: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Download the files from this web folder instead of the public mirrors."),
    ] = None,
    into: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Create NAME/raw in this folder.", show_default="the cache")
    ] = None,
) -> None:
    """Fetch data sets from the public mirrors, and check them.

    Exit codes: 0 fetched, 2 no mirror has the right files, or the folder cannot be written.
    """
    with handle_errors(), show_progress() as progress:
        from grader.render.text import sanitise_text
        from grader.training.mirrors import fetch

        for name in names or ["FashionMNIST"]:
            stored = fetch(name, into, mirror or (), progress)
            progress("")
            print(f"{name:14}{sanitise_text(str(stored.folder))}")

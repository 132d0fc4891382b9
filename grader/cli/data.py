"""Commands on data sets: data list, data fetch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grader.cli.console import app, handle_errors, hold_interrupts, refuse_unwritable, show_progress, write_text

__all__ = ["data", "fetch", "list_data_sets"]

data_sets = typer.Typer(invoke_without_command=True, help="Find and fetch the data sets that trainings use.")
app.add_typer(data_sets, name="data")


@data_sets.callback()
def data(context: typer.Context) -> None:
    """Find and fetch the data sets that trainings use; alone it lists them."""
    if context.invoked_subcommand is None:
        list_data_sets()


@data_sets.command("list")
def list_data_sets(
    json_file: Annotated[str, typer.Option("--json", help="Write the list as JSON here, - for standard output.")] = "",
) -> None:
    """Tell which data sets are found, and where they came from."""
    import json
    from dataclasses import asdict

    with handle_errors():
        from grader.render.text import sanitise_text

        refuse_unwritable(json_file)
        with hold_interrupts():
            from grader.training.inventory import find_all_data_sets

        found = find_all_data_sets()
        if json_file:
            write_text(json_file, json.dumps([asdict(each) for each in found], indent=1) + "\n")
        if json_file != "-":
            for each in found:
                print(f"{each.name:14}{sanitise_text(each.problem or f'{each.folder} ({each.origin})')}")


@data_sets.command()
def fetch(
    names: Annotated[list[str] | None, typer.Argument(help="Which ones.", show_default="FashionMNIST")] = None,
    mirror: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="A folder on the web that has the files, instead of the public ones."),
    ] = None,
    into: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The folder to make NAME/raw in.", show_default="the cache")
    ] = None,
) -> None:
    """Fetch data sets from the public mirrors, and check them.

    Exit codes: 0 they are there, 2 no mirror has a file right, or the folder cannot be written.
    """
    with handle_errors(), show_progress() as progress:
        from grader.render.text import sanitise_text
        from grader.training.mirrors import fetch

        for name in names or ["FashionMNIST"]:
            place = fetch(name, into, mirror or (), progress)
            progress("")
            print(f"{name:14}{sanitise_text(str(place.folder))}")

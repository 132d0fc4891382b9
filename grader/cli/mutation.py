"""The command rubric mutate."""

from __future__ import annotations

import os
from typing import Annotated

import typer
from rich.console import Console

from grader.cli.authoring import rubric
from grader.cli.completion import complete_assignments
from grader.cli.console import (
    NOT_PASSED,
    PASSED,
    handle_errors,
    refuse_unwritable,
    show_progress,
    write_text,
)
from grader.cli.interrupts import delay_interrupts

__all__ = ["mutate"]


@rubric.command()
def mutate(
    assignment: Annotated[
        str,
        typer.Argument(
            help="The name of an assignment, or the path of its folder.", autocompletion=complete_assignments
        ),
    ],
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="Change only this definition; repeatable.")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=0, metavar="N", help="Judge N mutants, of each definition and operator; 0 judges all.")
    ] = 500,
    held_out: Annotated[
        bool,
        typer.Option("--held-out", help="Judge each mutant as if the right notebook it comes from were not known."),
    ] = False,
    json_file: Annotated[
        str, typer.Option("--json", help="Write the result as JSON to this file, - for standard output.")
    ] = "",
    jobs: Annotated[int, typer.Option(min=1, help="Number of mutants to judge at once.")] = os.cpu_count() or 1,
) -> None:
    """Judge single-point mutants of the solution and the alternatives.

    A mutant drops or exchanges an argument, a name, a statement, an operator, a constant or a layer. Those that behave
    as the right version does are told apart. The table says how many of the others are caught, and how many of those
    the report names, places, or names falsely.

    Exit codes: 0 99 % are caught, 85 % of those are named or placed and none falsely, 1 one of that does not hold.
    """
    with handle_errors(), show_progress() as progress:
        from grader.assignment import find_assignment

        found = find_assignment(assignment)
        refuse_unwritable(json_file)
        progress("starting")
        with delay_interrupts():
            from grader.authoring.mutation.mutate import mutate

        table = mutate(found, only=only or (), limit=limit or None, held_out=held_out, jobs=jobs, progress=progress)
        progress("")
        if json_file:
            write_text(json_file, table.to_json())
        if json_file != "-":
            from grader.render.mutation import render_mutation

            render_mutation(table, Console())
    raise typer.Exit(PASSED if table.reaches_goal else NOT_PASSED)

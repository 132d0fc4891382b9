"""Commands of those who write assignments: assignment new, bundle and import, rubric verify."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from grader.cli.console import (
    NOT_PASSED,
    PASSED,
    app,
    handle_errors,
    hold_interrupts,
    refuse_unwritable,
    show_progress,
    write_text,
)

__all__ = ["bundle", "import_", "new", "verify"]

rubric = typer.Typer(no_args_is_help=True, help="Work on a rubric.")
app.add_typer(rubric, name="rubric")
assignments = typer.Typer(no_args_is_help=True, help="Work on assignments.")
app.add_typer(assignments, name="assignment")


@assignments.command()
def new(
    name: Annotated[str, typer.Argument(help="The assignment's name, and its folder's.", show_default=False)],
    into: Annotated[Path, typer.Option(metavar="FOLDER", help="The folder to make that folder in.")] = Path(),
) -> None:
    """Write a small assignment that works, to be changed into your own.

    Exit codes: 0 it is written, 2 the name or the folder will not do.
    """
    with handle_errors():
        from grader.authoring.new import new_assignment
        from grader.render.text import sanitise_text

        for path in new_assignment(name, into):
            print("wrote", sanitise_text(str(path)))
        folder = into / name
        # With a slash, because a bare name would be looked for among the grader's own assignments first.
        shown = sanitise_text(str(folder) if folder.is_absolute() else f"./{folder}")
        print("\nTry it:")
        print(f"    grader rubric verify {shlex.quote(shown)}")
        print(f"    grader check {shlex.quote(f'{shown}/example.ipynb')} --assignment {shlex.quote(shown)}")


@assignments.command()
def bundle(
    assignment: Annotated[str, typer.Argument(help="An assignment's name, or the path of its folder.")],
    out: Annotated[
        Path | None, typer.Option(metavar="ZIP|FOLDER", help="Where it goes; NAME-check.zip where nothing is said.")
    ] = None,
) -> None:
    """Write what students check their own work with: the visible items' recorded inputs and outputs, and no reference.

    Exit codes: 0 it is written, 2 the assignment or the place will not do.
    """
    with handle_errors(), show_progress() as progress:
        from grader.assignment import find_assignment
        from grader.render.text import sanitise_text

        found = find_assignment(assignment)
        target = out or Path(f"{found.name}-check.zip")
        progress("starting")
        with hold_interrupts():
            from grader.authoring.bundling import bundle, write_bundle

        made = bundle(found, progress=progress)
        write_bundle(made, target)
        progress("")
        print("wrote", sanitise_text(str(target)))
        for item, why in made.left_out.items():
            print(f"left out {sanitise_text(item)}: {sanitise_text(why)}")


@assignments.command("import")
def import_(
    source: Annotated[
        Path,
        typer.Argument(
            help="A notebook of nbgrader; a notebook, a folder or a zip of otter-grader.", show_default=False
        ),
    ],
    name: Annotated[str, typer.Option(help="What to call the assignment.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The folder to make; by default one of that name here.")
    ] = None,
    hidden: Annotated[
        bool, typer.Option("--hidden", help="Take hidden tests too, as items that show no inputs.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Write nothing where a test cannot be translated.")] = False,
) -> None:
    """Make an assignment of nbgrader's or otter-grader's: its visible tests become items. Nothing of it is run.

    Exit codes: 0 it is written, 2 there is nothing to import, or the name or the folder will not do.
    """
    with handle_errors():
        from grader.authoring.importing import import_assignment
        from grader.render.text import sanitise_text

        made = import_assignment(source, name, out, hidden=hidden, strict=strict)
        for path in made.files:
            print("wrote", sanitise_text(str(path)))
        print(
            f"\n{made.points:g} points: {len(made.by_tests)} items judged by tests, {len(made.by_person)} by a person"
        )
        for gap in made.gaps:
            print("by a person:", sanitise_text(gap))
        for left in made.left:
            print("not taken:", sanitise_text(left))
        folder = out if out is not None else Path(name)
        shown = shlex.quote(sanitise_text(str(folder) if folder.is_absolute() else f"./{folder}"))
        print("\nTry it with a solution:")
        print(f"    grader check SOLUTION.ipynb --assignment {shown}")


@rubric.command()
def verify(
    assignment: Annotated[str, typer.Argument(help="An assignment's name, or the path of its folder.")],
    json_file: Annotated[
        str, typer.Option("--json", help="Write the result as JSON here, - for standard output.")
    ] = "",
    jobs: Annotated[int, typer.Option(min=1, help="How many submissions are graded at once.")] = os.cpu_count() or 1,
) -> None:
    """Grade known submissions: the solution gets every point, an empty notebook none, each mutant loses what it breaks.

    Exit codes: 0 all of them do, 1 some do not.
    """
    with handle_errors(), show_progress() as progress:
        from grader.assignment import find_assignment
        from grader.sandbox.host.sandbox import Zygote

        found = find_assignment(assignment)
        refuse_unwritable(json_file)
        progress("starting the sandbox")
        with Zygote(found.packages) as zygote:
            with hold_interrupts():
                from grader.authoring.verify import verify

            verification = verify(found, zygote, jobs=jobs, progress=progress)
        progress("")
        if json_file:
            write_text(json_file, verification.to_json())
        if json_file != "-":
            from grader.render.verification import render_verification

            render_verification(verification, Console())
    raise typer.Exit(PASSED if verification.perfect else NOT_PASSED)

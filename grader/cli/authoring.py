"""Commands for authors of assignments: assignment new, bundle and import, and rubric verify."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from grader.cli.command_line import CommandLine
from grader.cli.completion import complete_assignments
from grader.cli.console import (
    NOT_PASSED,
    PASSED,
    app,
    end_on_interrupt,
    handle_errors,
    refuse_unwritable,
    show_progress,
    write_text,
)
from grader.cli.help_pages import Section

__all__ = ["bundle", "fingerprint", "import_", "new", "verify"]

rubric = CommandLine(help="Work on a rubric.")
app.add_typer(rubric, name="rubric", rich_help_panel=Section.ASSIGNMENT)
assignments = CommandLine(help="Create, bundle and import assignments, and fingerprint their books.")
app.add_typer(assignments, name="assignment", rich_help_panel=Section.ASSIGNMENT)


@assignments.command(
    examples="""
        grader assignment new my_hw1
    """
)
def new(
    name: Annotated[str, typer.Argument(help="The name of the assignment and of its folder.", show_default=False)],
    into: Annotated[Path, typer.Option(metavar="FOLDER", help="Create the assignment's folder in this one.")] = Path(),
) -> None:
    """Write a small working assignment for you to change.

    Exit codes: 0 written, 2 the name or the folder cannot be used.
    """
    with handle_errors():
        from grader.authoring.new import new_assignment
        from grader.render.text import sanitise_text

        for path in new_assignment(name, into):
            print("wrote", sanitise_text(str(path)))
        folder = shlex.quote(_show_folder(into / name))
        example = shlex.quote(f"{_show_folder(into / name)}/example.ipynb")
        print("\nTry it:")
        print(f"    grader rubric verify {folder}")
        print(f"    grader check {example} --assignment {folder}")


@assignments.command(
    examples="""
        grader assignment bundle hw2 --out hw2-check.zip
    """
)
def bundle(
    assignment: Annotated[
        str,
        typer.Argument(
            help="The name of an assignment, or the path of its folder.", autocompletion=complete_assignments
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="ZIP|FOLDER", help="Write the bundle here.", show_default="NAME-check.zip"),
    ] = None,
) -> None:
    """Write a bundle with which students check their own work, without a grader.

    It holds recorded inputs and outputs of the visible items, and no reference.

    Exit codes: 0 written, 2 the assignment or the output cannot be used.
    """
    with handle_errors(), show_progress() as progress:
        from grader.assignment import find_assignment
        from grader.render.text import sanitise_text

        found = find_assignment(assignment)
        target = out or Path(f"{found.name}-check.zip")
        progress("starting")
        with end_on_interrupt():
            from grader.authoring.bundling import bundle, write_bundle

        built = bundle(found, progress=progress)
        write_bundle(built, target)
        progress("")
        print("wrote", sanitise_text(str(target)))
        for item, reason in built.left_out.items():
            print(f"left out {sanitise_text(item)}: {sanitise_text(reason)}")


@assignments.command(
    "import",
    examples="""
        grader assignment import hw1.ipynb --name hw1
        grader assignment import otter/ --name hw1 --hidden
    """,
)
def import_(
    source: Annotated[
        Path,
        typer.Argument(
            help="A notebook of nbgrader, or a notebook, a folder or a zip of otter-grader.", show_default=False
        ),
    ],
    name: Annotated[str, typer.Option(help="The name of the new assignment.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Create this folder; it must have that name.", show_default="./NAME"),
    ] = None,
    hidden: Annotated[
        bool, typer.Option("--hidden", help="Import hidden tests too, as items that show no inputs.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Fail if a test cannot be translated.")] = False,
) -> None:
    """Import an assignment of nbgrader or otter-grader: its visible tests become items.

    No code of the assignment is run.

    Exit codes: 0 written, 2 there is nothing to import, or the name or the folder cannot be used.
    """
    with handle_errors():
        from grader.authoring.importing import import_assignment
        from grader.render.text import sanitise_text

        imported = import_assignment(source, name, out, hidden=hidden, strict=strict)
        for path in imported.files:
            print("wrote", sanitise_text(str(path)))
        by_tests, by_person = len(imported.by_tests), len(imported.by_person)
        print(f"\n{imported.points:g} points: {by_tests} items judged by tests, {by_person} by a person")
        for gap in imported.gaps:
            print("by a person:", sanitise_text(gap))
        for skipped in imported.skipped:
            print("not imported:", sanitise_text(skipped))
        folder = shlex.quote(_show_folder(out if out is not None else Path(name)))
        print("\nTry it with a solution:")
        print(f"    grader check SOLUTION.ipynb --assignment {folder}")


@assignments.command(
    examples="""
        grader assignment fingerprint book/ --out hw1/book.fingerprints
    """
)
def fingerprint(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER...", help="Folders or files: the book's Markdown and notebooks.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Write the fingerprints here.")] = Path("book.fingerprints"),
) -> None:
    """Write the fingerprints of a book, by which its text is told apart from a student's own words.

    The file has hashes only, and none of the book's text. Name it in rubric.toml: [written] book = "book.fingerprints".

    Exit codes: 0 written, 2 there is no text, or a file cannot be read or written.
    """
    with handle_errors():
        from grader.authoring.fingerprint import fingerprint as make
        from grader.render.text import sanitise_text

        made = make(sources, out)
        print("wrote", sanitise_text(str(out)))
        print(f"{made.fingerprints:,} fingerprints of {made.files:,} files, {made.bytes / 1000:,.0f} kB")


def _show_folder(folder: Path) -> str:
    """Return a folder as a command takes it, with a slash: a bare name is looked up among the grader's assignments."""
    from grader.render.text import sanitise_text

    return sanitise_text(str(folder) if folder.is_absolute() else f"./{folder}")


@rubric.command(
    examples="""
        grader rubric verify hw2
        grader rubric verify ./my_hw1 --json result.json
    """
)
def verify(
    assignment: Annotated[
        str,
        typer.Argument(
            help="The name of an assignment, or the path of its folder.", autocompletion=complete_assignments
        ),
    ],
    json_file: Annotated[
        str, typer.Option("--json", help="Write the result as JSON to this file, - for standard output.")
    ] = "",
    jobs: Annotated[int, typer.Option(min=1, help="Number of submissions to grade at once.")] = os.cpu_count() or 1,
) -> None:
    """Verify a rubric by grading submissions whose points are known.

    The solution must get all points, an empty notebook none, and each mutant must lose what it breaks. No test may
    break over an answer that it does not expect: None, a wrong type or shape, NaN, an endless generator.

    Exit codes: 0 all of that holds, 1 some of it does not.
    """
    with handle_errors(), show_progress() as progress:
        from grader.assignment import find_assignment
        from grader.sandbox.host.sandbox import Zygote

        found = find_assignment(assignment)
        refuse_unwritable(json_file)
        progress("starting the sandbox")
        with Zygote(found.packages) as zygote:
            with end_on_interrupt(zygote.close):
                from grader.authoring.verify import verify

            verification = verify(found, zygote, jobs=jobs, progress=progress)
        progress("")
        if json_file:
            write_text(json_file, verification.to_json())
        if json_file != "-":
            from grader.render.verification import render_verification

            render_verification(verification, Console())
    raise typer.Exit(PASSED if verification.perfect else NOT_PASSED)

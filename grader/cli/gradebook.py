"""`grader gradebook`: write the grades of a batch for a spreadsheet program, Canvas or Moodle."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from grader.cli.console import NOT_PASSED, PASSED, app, handle_errors, refuse_unwritable, write_text
from grader.cli.help_pages import Section
from grader.errors import InputError

__all__ = ["gradebook"]


@app.command(
    section=Section.CLASS,
    examples="""
        grader gradebook reports/ --out grades.csv
        grader gradebook reports/ --canvas export.csv --out filled.csv
        grader gradebook reports/ --moodle worksheet.csv --out filled.csv
    """,
)
def gradebook(
    reports: Annotated[Path, typer.Argument(help="The folder that `grader batch` wrote.", show_default=False)],
    canvas: Annotated[
        str, typer.Option(metavar="EXPORT.csv", help="Fill in this gradebook exported from Canvas, - for a new one.")
    ] = "",
    moodle: Annotated[
        str, typer.Option(metavar="WORKSHEET.csv", help="Fill in this grading worksheet from Moodle.")
    ] = "",
    column: Annotated[
        str, typer.Option(help="The name of the assignment in Canvas.", show_default="the assignment's title")
    ] = "",
    out: Annotated[str, typer.Option(help="Write the CSV to this file, - for standard output.")] = "-",
) -> None:
    """Write the grades of a batch as CSV, or fill in a file of Canvas or Moodle.

    Students with undecided points or without a report get no grade, and are listed.

    Exit codes: 0 all students have a grade and were found, 1 some have none or were not found, 2 the input is wrong.
    """
    with handle_errors():
        from grader.gradebook import fill_canvas, fill_moodle, read_entries, write_plain_csv
        from grader.render.text import sanitise_line

        if canvas and moodle:
            raise InputError("--canvas and --moodle exclude each other: run the command twice")
        refuse_unwritable(out)
        entries = read_entries(reports)
        if not canvas and not moodle:
            write_text(out, write_plain_csv(entries))
            complete = not any(entry.held_back for entry in entries)
            raise typer.Exit(PASSED if complete else NOT_PASSED)
        try:
            if moodle:
                filled_in = fill_moodle(_read_text(moodle), entries)
            else:
                title = column or next((entry.report.title for entry in entries if entry.report is not None), "")
                filled_in = fill_canvas(None if canvas == "-" else _read_text(canvas), entries, title)
        except InputError as error:
            raise InputError(f"{moodle or canvas}: {error}") from None
        write_text(out, filled_in.text)
        # On standard error, because the CSV may go to standard output.
        for notice in filled_in.notices:
            print(f"note: {sanitise_line(notice)}", file=sys.stderr)
        for student in filled_in.without_grade:
            print(f"no grade: {sanitise_line(student)}", file=sys.stderr)
        for student in filled_in.not_found:
            print(f"not in {sanitise_line(moodle or canvas)}: {sanitise_line(student)}", file=sys.stderr)
        complete = not filled_in.without_grade and not filled_in.not_found
    raise typer.Exit(PASSED if complete else NOT_PASSED)


def _read_text(file: str) -> str:
    try:
        return Path(file).read_bytes().decode("utf-8")
    except OSError as error:
        raise InputError(f"it cannot be read ({error.strerror}); check its name") from None
    except UnicodeDecodeError:
        raise InputError(
            "it is not UTF-8, probably because another program saved it; download it again, and do not change it"
        ) from None

"""The command gradebook: grades of a batch for a spreadsheet program, Canvas or Moodle."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from grader.cli.console import NOT_PASSED, PASSED, app, handle_errors, refuse_unwritable, write_text
from grader.errors import InputError

__all__ = ["gradebook"]


@app.command()
def gradebook(
    reports: Annotated[Path, typer.Argument(help="The folder that `grader batch` wrote.", show_default=False)],
    canvas: Annotated[
        str, typer.Option(metavar="EXPORT.csv", help="Canvas' exported gradebook to fill in, - for a new one.")
    ] = "",
    moodle: Annotated[
        str, typer.Option(metavar="WORKSHEET.csv", help="Moodle's downloaded grading worksheet to fill in.")
    ] = "",
    column: Annotated[
        str, typer.Option(help="The assignment's name in Canvas.", show_default="the assignment's title")
    ] = "",
    out: Annotated[str, typer.Option(help="Write the CSV file here, - for standard output.")] = "-",
) -> None:
    """Write the grades of a batch as CSV, ready to be imported where an LMS's own file is given.

    Who has points that are still to be decided, or no report, gets no grade there and is named.

    Exit codes: 0 everybody has a grade and was found, 1 somebody has none or was not found, 2 the input is wrong.
    """
    with handle_errors():
        from grader.gradebook import fill_canvas, fill_moodle, read_entries, write_plain_csv
        from grader.render.text import sanitise_line

        if canvas and moodle:
            raise InputError("--canvas and --moodle are both given: fill in one after the other")
        refuse_unwritable(out)
        entries = read_entries(reports)
        if not canvas and not moodle:
            write_text(out, write_plain_csv(entries))
            complete = not any(entry.held_back for entry in entries)
            raise typer.Exit(PASSED if complete else NOT_PASSED)
        try:
            if moodle:
                filled_in = fill_moodle(_text_of(moodle), entries)
            else:
                title = column or next((entry.report.title for entry in entries if entry.report is not None), "")
                filled_in = fill_canvas(None if canvas == "-" else _text_of(canvas), entries, title)
        except InputError as error:
            raise InputError(f"{moodle or canvas}: {error}") from None
        write_text(out, filled_in.text)
        # Beside the CSV, which may go to standard output.
        for notice in filled_in.notices:
            print(f"note: {sanitise_line(notice)}", file=sys.stderr)
        for who in filled_in.without_grade:
            print(f"no grade: {sanitise_line(who)}", file=sys.stderr)
        for who in filled_in.not_found:
            print(f"not in {sanitise_line(moodle or canvas)}: {sanitise_line(who)}", file=sys.stderr)
        complete = not filled_in.without_grade and not filled_in.not_found
    raise typer.Exit(PASSED if complete else NOT_PASSED)


def _text_of(file: str) -> str:
    try:
        return Path(file).read_bytes().decode("utf-8")
    except OSError as error:
        raise InputError(f"it cannot be read ({error.strerror}); check its name") from None
    except UnicodeDecodeError:
        raise InputError("it is not UTF-8, as a program saved it; download it again, and give it unchanged") from None

"""Commands for marking written answers: marks export and marks apply."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grader.cli.command_line import CommandLine
from grader.cli.console import NOT_PASSED, PASSED, app, handle_errors, refuse_unwritable, write_text
from grader.cli.help_pages import Section
from grader.errors import InputError

__all__ = ["apply", "export"]

marks = CommandLine(help="Mark the written answers of a batch that was graded on this machine.")
app.add_typer(marks, name="marks", rich_help_panel=Section.CLASS)

_Reports = Annotated[Path, typer.Argument(help="The folder that `grader batch` wrote.", show_default=False)]


@marks.command(
    examples="""
        grader marks export reports/ --out marks.csv
    """
)
def export(
    reports: _Reports,
    out: Annotated[str, typer.Option(help="Write the CSV to this file, - for standard output.")] = "-",
) -> None:
    """Write a sheet with all written answers, to fill in points and comments for the students."""
    with handle_errors():
        from grader.gradebook import read_entries, write_marking_sheet

        refuse_unwritable(out)
        write_text(out, write_marking_sheet(read_entries(reports)))


@marks.command(
    examples="""
        grader marks apply reports/ marks.csv
    """
)
def apply(
    reports: _Reports,
    sheet: Annotated[Path, typer.Argument(metavar="MARKS.csv", help="The filled-in sheet.", show_default=False)],
    by: Annotated[str, typer.Option(metavar="NAME", help="Who marked; students do not see it.")] = "",
) -> None:
    """Add the marks of a sheet to the reports, the gradebook and the summary. Rows without points change nothing.

    Exit codes: 0 all answers are marked, 1 some are not, 2 the sheet is wrong, and nothing was applied.
    """
    with handle_errors():
        from grader.batch.batch import apply_marks
        from grader.gradebook import read_entries
        from grader.results.report import Verdict

        count = apply_marks(reports, _read_text(sheet), by)
        found = [entry.report for entry in read_entries(reports) if entry.report]
        answers = [item for report in found for item in report.items if item.by_person]
        waiting = sum(item.verdict is Verdict.PENDING for item in answers)
        print(f"{count} marks applied; {waiting} answers not marked yet")
    raise typer.Exit(NOT_PASSED if waiting else PASSED)


def _read_text(sheet: Path) -> str:
    try:
        return sheet.read_bytes().decode("utf-8")
    except OSError as error:
        raise InputError(f"{sheet}: it cannot be read ({error.strerror}); check its name") from None
    except UnicodeDecodeError:
        raise InputError(f"{sheet}: it is not UTF-8; save it as CSV UTF-8") from None

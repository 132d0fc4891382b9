"""Commands of who marks what no test judges: marks export, marks apply."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grader.cli.console import NOT_PASSED, PASSED, app, handle_errors, refuse_unwritable, write_text
from grader.errors import InputError

__all__ = ["apply", "export"]

marks = typer.Typer(no_args_is_help=True, help="Mark written answers of a batch that was graded here.")
app.add_typer(marks, name="marks")

_Reports = Annotated[Path, typer.Argument(help="The folder that `grader batch` wrote.", show_default=False)]


@marks.command()
def export(
    reports: _Reports, out: Annotated[str, typer.Option(help="Write the CSV file here, - for standard output.")] = "-"
) -> None:
    """Write a sheet with every written answer, to be filled in: points, and a comment for the student."""
    with handle_errors():
        from grader.gradebook import read_entries, write_marking_sheet

        refuse_unwritable(out)
        write_text(out, write_marking_sheet(read_entries(reports)))


@marks.command()
def apply(
    reports: _Reports,
    sheet: Annotated[Path, typer.Argument(metavar="MARKS.csv", help="The sheet, filled in.", show_default=False)],
    by: Annotated[str, typer.Option(metavar="NAME", help="Who marked; no student sees it.")] = "",
) -> None:
    """Let the marks of a sheet join reports, gradebook and summary; rows without points change nothing.

    Exit codes: 0 nothing waits for a person any more, 1 something does, 2 the sheet is wrong, and nothing was applied.
    """
    with handle_errors():
        from grader.batch.batch import apply_marks
        from grader.gradebook import read_entries
        from grader.results.report import Verdict

        count = apply_marks(reports, _text_of(sheet), by)
        found = [
            item for entry in read_entries(reports) if entry.report for item in entry.report.items if item.by_person
        ]
        waiting = sum(item.verdict is Verdict.PENDING for item in found)
        print(f"{count} marks applied; {waiting} answers still wait")
    raise typer.Exit(NOT_PASSED if waiting else PASSED)


def _text_of(sheet: Path) -> str:
    try:
        return sheet.read_bytes().decode("utf-8")
    except OSError as error:
        raise InputError(f"{sheet}: it cannot be read ({error.strerror}); check its name") from None
    except UnicodeDecodeError:
        raise InputError(f"{sheet}: it is not UTF-8; save it as CSV UTF-8") from None

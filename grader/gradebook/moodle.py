"""Fills in Moodle's offline grading worksheet, in any language."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from grader.errors import InputError
from grader.gradebook.entries import (
    FilledSheet,
    GradebookEntry,
    describe_other_maximum,
    describe_untouched_grade,
    detect_decimal_separator,
    format_number,
    index_by_identifier,
    is_number,
    make_filled_sheet,
)
from grader.gradebook.spreadsheet import Sheet, escape_text
from grader.results.reading_order import describe_mend_first, order_items
from grader.results.report import Verdict

__all__ = ["fill_moodle"]

_MESSAGE = 300  # characters of an item's message in a feedback comment
_PARTICIPANT = re.compile(r"(\D+)(\d+)")
_DATE = re.compile(r"\d{4}.*\d:\d\d|\d:\d\d.*\d{4}")


def fill_moodle(worksheet: str, entries: Iterable[GradebookEntry]) -> FilledSheet:
    """Fill in the grading worksheet that was downloaded from Moodle, in any language.

    A row belongs to an entry if both the participant number and the name agree: the number of a group may be that of
    another participant. All members of a group get its grade. Moodle writes the columns in
    `mod/assign/gradingtable.php` and reads them in `mod/assign/feedback/offline/importgradeslib.php`.

    Raises:
        InputError: the text is not such a worksheet, or the assignment is graded by a scale.
    """
    entries = list(entries)
    by_number = index_by_identifier(entries, "moodle_participant")
    sheet = Sheet.read(worksheet)
    identifier = _identifier_column(sheet)
    grade, maximum = _grade_columns(sheet)
    feedback = _feedback_column(sheet, maximum)
    notices = describe_other_maximum(sheet.rows[1][maximum], entries)
    if feedback is None:
        notices.append("the worksheet has no column for feedback comments, so it has grades alone")
    replaced, keys = 0, set()
    for row in sheet.rows[1:]:
        entry = _find_entry(row, identifier, grade, by_number)
        unchanged = {identifier, grade, feedback}
        row[:] = [cell if at in unchanged else escape_text(cell) for at, cell in enumerate(row)]
        if entry is None:
            continue
        keys.add(entry.key)
        if entry.report is not None and not entry.held_back:
            row[grade] = format_number(entry.report.score, detect_decimal_separator(row[maximum]))
        elif row[grade].strip() not in ("", "-"):
            notices.append(describe_untouched_grade(entry, row[grade]))
        if feedback is not None:
            comment = _write_feedback(entry)
            replaced += row[feedback] not in ("", comment)
            row[feedback] = comment
    if replaced:
        notices.append(f"{replaced} existing feedback comments are replaced")
    return make_filled_sheet(sheet, entries, keys, notices)


def _find_entry(
    row: Sequence[str], identifier: int, grade: int, by_number: Mapping[str, GradebookEntry]
) -> GradebookEntry | None:
    match = _PARTICIPANT.fullmatch(row[identifier].strip())
    own = by_number.get(match[2]) if match else None
    # Only letters and digits are compared, because a file name cannot have every character of a person's name.
    names = {_letters(match[1] if match else ""), *(_letters(cell) for cell in row[identifier + 1 : grade])} - {""}
    if own is not None and _letters(own.name) in names:
        return own
    groups = {_letters(cell) for cell in row[identifier + 2 : grade]} - {""}
    teams = [entry for entry in by_number.values() if _letters(entry.name) in groups]
    return teams[0] if len(teams) == 1 else None


def _letters(name: str) -> str:
    return "".join(character for character in unicodedata.normalize("NFKC", name).casefold() if character.isalnum())


def _identifier_column(sheet: Sheet) -> int:
    for at in range(len(sheet.rows[0])):
        cells = [_PARTICIPANT.fullmatch(cell.strip()) for cell in sheet.column(at)]
        if cells and all(cells) and len({match[1] for match in cells if match}) == 1:
            return at
    raise InputError(
        'no column holds identifiers like "Participant 123"; choose "Download grading worksheet" in the assignment, '
        "and give that file unchanged"
    )


def _grade_columns(sheet: Sheet) -> tuple[int, int]:
    """Return the columns of the grade and of its maximum, the next one, with the same number in every row."""
    candidates = []
    for at in range(1, len(sheet.rows[0])):
        maxima, grades = set(sheet.column(at)), [cell.strip() for cell in sheet.column(at - 1)]
        constant = len(maxima) == 1 and all(is_number(cell) for cell in maxima)
        if constant and all(cell in ("", "-") or is_number(cell) for cell in grades):
            candidates.append(at)
    english = [at for at in candidates if sheet.rows[0][at - 1].strip() == "Grade"]
    if len(english or candidates) != 1:
        raise InputError(
            "the columns of the grade and its maximum cannot be identified; the assignment must be graded in points; "
            "download the worksheet with the site in English"
        )
    (maximum,) = english or candidates
    return maximum - 1, maximum


def _feedback_column(sheet: Sheet, maximum: int) -> int | None:
    """Return the column of feedback comments: by its name, or else the last one unless that holds times."""
    header = [name.strip() for name in sheet.rows[0]]
    if "Feedback comments" in header:
        return header.index("Feedback comments")
    last = len(header) - 1
    times = any(cell.strip() == "-" or _DATE.search(cell) for cell in sheet.column(last))
    return None if times or last <= maximum + 1 or header[last] == "Last modified (grade)" else last


def _write_feedback(entry: GradebookEntry) -> str:
    """Return a feedback comment as HTML, in which the messages of items are escaped."""
    lines = []
    if entry.report is not None and entry.report.is_readable:
        report = entry.report
        lines.append(f"{format_number(report.score)} of {format_number(report.max_score)} points")
        lines += describe_mend_first(report)
        for item in order_items(report.items):
            if item.verdict is not Verdict.PASSED:
                place = item.place.describe(report.count_cells(item.file)) if item.place else ""
                message = " ".join(f"{place}: {item.reason}".removeprefix(": ").split())
                shown = message if len(message) <= _MESSAGE else f"{message[:_MESSAGE]}…"
                earned = f"{format_number(item.points)} of {format_number(item.max_points)}"
                lines.append(
                    f"{item.title}: {'not yet decided' if item.verdict is Verdict.PENDING else earned}. {shown}"
                )
        lines += [f"Not used: {notice}" for notice in entry.report.unused_files]
    if entry.held_back:
        why = "it could not be graded, which is not your fault" if entry.system_error else entry.held_back
        lines.insert(0, f"No grade yet: {why}")
    return escape_text("<br>".join(html.escape(line.strip(), quote=False) for line in lines))

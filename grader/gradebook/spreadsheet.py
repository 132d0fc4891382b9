"""CSV files in the dialects of spreadsheet programs and learning management systems."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field
from itertools import islice

from grader.errors import InputError

__all__ = ["BYTE_ORDER_MARK", "Sheet", "escape_name", "escape_text", "neutralise"]

BYTE_ORDER_MARK = "\ufeff"
_DELIMITERS = ",;\t"
_LONGEST_CELL = 2**27  # characters; an online text may be long
# https://owasp.org/www-community/attacks/CSV_Injection: = + - @, their full-width forms, tab, carriage return, line
# feed. Programs strip spaces and quotes before them, and a program that splits at another separator sees a new cell.
_FORMULA = "=+\\-@\uff1d\uff0b\uff0d\uff20"
_STARTS = re.compile(rf"[\s\"\0\u200b\u2060\ufeff]*[{_FORMULA}]|[\t\r\n\0]")
# Only up to the next separator, or a text of nothing but line feeds would take quadratic time.
_STARTS_INSIDE = re.compile(rf"([;\t\r\n])(?=(?:[^\S\t\r\n]|\")*[{_FORMULA}])")
# C0 and C1, and the marks that change the direction of writing or end a line: they hide what a cell holds.
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_NUMBER_OR_DASH = re.compile(r"[+-]?\d+(?:[.,]\d+)?%?|-+")


def escape_name(name: str) -> str:
    """Return a name on one line, with its control characters made visible, that no program takes for a formula."""
    return neutralise(_CONTROL.sub(_show, name))


def escape_text(text: str) -> str:
    """Return a text of several lines, with other control characters made visible, that is no formula."""
    return neutralise(_CONTROL.sub(lambda match: match[0] if match[0] in "\n\t" else _show(match), text))


def _show(match: re.Match[str]) -> str:
    code = ord(match[0])
    return chr(0x2400 + code) if code < 0x20 else f"<U+{code:04X}>"


def neutralise(cell: str) -> str:
    """Return a cell that no spreadsheet program takes for a formula, by an apostrophe before the start of one.

    Numbers, also negative ones, and cells that are already harmless are not changed.
    """
    if _NUMBER_OR_DASH.fullmatch(cell):
        return cell
    cell = _STARTS_INSIDE.sub(r"\1'", cell)
    return f"'{cell}" if _STARTS.match(cell) else cell


@dataclass
class Sheet:
    """A CSV file: its rows, the header first and all of one length, and its dialect.

    `lines` has the line number on which each row begins, because a cell may run over many lines.
    """

    rows: list[list[str]]
    mark: str = ""
    delimiter: str = ","
    end: str = "\n"
    lines: list[int] = field(default_factory=list)

    @classmethod
    def read(cls, text: str) -> Sheet:
        """Read the text of a CSV file with any of the delimiters.

        Raises:
            InputError: the text has no rows below a header, or is not CSV.
        """
        mark = BYTE_ORDER_MARK if text.startswith(BYTE_ORDER_MARK) else ""
        text = text.removeprefix(mark)
        end = "\r\n" if text.partition("\n")[0].endswith("\r") else "\n"
        try:
            delimiter = max(_DELIMITERS, key=lambda candidate: len(_read_rows(text, candidate, max_rows=1)[0][1]))
            lines, rows = zip(*_read_rows(text, delimiter), strict=True)
        except (csv.Error, IndexError, ValueError) as error:
            raise InputError(f"the file is no CSV file ({error}); download it again, and give it unchanged") from None
        if len(rows) < 2 or len(rows[0]) < 2:
            raise InputError("the file has no rows below a header; download it again, and give it unchanged")
        width = max(len(row) for row in rows)
        return cls([[*row, *[""] * (width - len(row))] for row in rows], mark, delimiter, end, list(lines))

    def column(self, at: int) -> list[str]:
        """Return the cells of a column below its header."""
        return [row[at] for row in self.rows[1:]]

    def text(self) -> str:
        """Return the text of the CSV file."""
        buffer = io.StringIO()
        csv.writer(buffer, delimiter=self.delimiter, lineterminator=self.end).writerows(self.rows)
        return self.mark + buffer.getvalue()


def _read_rows(text: str, delimiter: str, max_rows: int | None = None) -> list[tuple[int, list[str]]]:
    """Return the rows that are not empty, each with the line on which it begins."""
    before = csv.field_size_limit(_LONGEST_CELL)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        rows, begins = [], 1
        for row in islice(reader, max_rows):
            rows += [(begins, row)] if any(row) else []
            begins = reader.line_num + 1
        return rows
    finally:
        csv.field_size_limit(before)

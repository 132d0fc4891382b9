"""CSV files as spreadsheet programs and learning management systems write and read them."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field
from itertools import islice

from grader.errors import InputError

__all__ = ["BYTE_ORDER_MARK", "Sheet", "neutralise"]

BYTE_ORDER_MARK = "\ufeff"
_DELIMITERS = ",;\t"
_LONGEST_CELL = 2**27  # of characters; an online text may be long
# https://owasp.org/www-community/attacks/CSV_Injection: = + - @, their full-width forms, tab, carriage return, line
# feed; programs strip spaces and quotes before them, and one that splits at another separator makes a new cell.
_FORMULA = "=+\\-@\uff1d\uff0b\uff0d\uff20"
_STARTS = re.compile(rf"[\s\"\0\u200b\u2060\ufeff]*[{_FORMULA}]|[\t\r\n\0]")
# Up to the next separator: a student's text of nothing but line feeds would else take the square of its length.
_STARTS_INSIDE = re.compile(rf"([;\t\r\n])(?=(?:[^\S\t\r\n]|\")*[{_FORMULA}])")
_NUMBER_OR_DASH = re.compile(r"[+-]?\d+(?:[.,]\d+)?%?|-+")


def neutralise(cell: str) -> str:
    """Return a cell that no spreadsheet program takes for a formula: an apostrophe goes before what would start one.

    Numbers, also negative ones, stay numbers; a cell that is neutral stays as it is.
    """
    if _NUMBER_OR_DASH.fullmatch(cell):
        return cell
    cell = _STARTS_INSIDE.sub(r"\1'", cell)
    return f"'{cell}" if _STARTS.match(cell) else cell


@dataclass
class Sheet:
    """A CSV file: its rows, the header first, all of one length, and how it is written.

    `lines` has for each row that was read the line of the file on which it begins: a cell may run over many.
    """

    rows: list[list[str]]
    mark: str = ""
    delimiter: str = ","
    end: str = "\n"
    lines: list[int] = field(default_factory=list)

    @classmethod
    def read(cls, text: str) -> Sheet:
        """Read a CSV file's text, whatever separates its cells.

        Raises:
            InputError: it has no rows below a header, or is no CSV file.
        """
        mark = BYTE_ORDER_MARK if text.startswith(BYTE_ORDER_MARK) else ""
        text = text.removeprefix(mark)
        end = "\r\n" if text.partition("\n")[0].endswith("\r") else "\n"
        try:
            delimiter = max(_DELIMITERS, key=lambda each: len(_rows(text, each, at_most=1)[0][1]))
            lines, rows = zip(*_rows(text, delimiter), strict=True)
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
        """Return it as a CSV file's text."""
        buffer = io.StringIO()
        csv.writer(buffer, delimiter=self.delimiter, lineterminator=self.end).writerows(self.rows)
        return self.mark + buffer.getvalue()


def _rows(text: str, delimiter: str, at_most: int | None = None) -> list[tuple[int, list[str]]]:
    """Return the rows that hold anything, each with the line on which it begins."""
    before = csv.field_size_limit(_LONGEST_CELL)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        rows, begins = [], 1
        for row in islice(reader, at_most):
            rows += [(begins, row)] if any(row) else []
            begins = reader.line_num + 1
        return rows
    finally:
        csv.field_size_limit(before)

"""Remarks on what stands around a student's code: a package that is not installed, a file that was skipped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from grader.place import Place

__all__ = ["CellStop", "Notice", "NoticeKind"]


class NoticeKind(StrEnum):
    """What a notice is about. Notices of the same kind and subject in many submissions have one cause."""

    REMARK = "remark"
    MISSING_PACKAGE = "missing package"  # the subject is the package
    VERSION = "version"  # of Python or of a library; the subject is what the notebook was written for
    NO_GPU = "no GPU"
    NO_DATA = "no data"  # the subject is the data set
    SKIPPED_FILE = "skipped file"  # the subject is the file
    UNREADABLE_FILE = "unreadable file"  # the subject is the file
    HIDDEN_NAME = "hidden name"  # the subject is the built-in function that the notebook has replaced


@dataclass(frozen=True)
class Notice:
    """A remark for the student, with its place if it has one.

    `subject` is what it is about, such as the name of a package.
    """

    text: str
    kind: NoticeKind = NoticeKind.REMARK
    subject: str = ""
    file: str | None = None
    cell: int | None = None

    def __str__(self) -> str:
        return self.describe()

    def describe(self, total: int | None = None) -> str:
        """Return the remark with its place; `total` is the number of the file's cells, if it is known."""
        if self.file is None:
            return self.text
        place = self.file if self.cell is None else Place(self.file, self.cell).describe(total)
        return f"{place}: {self.text}"

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Notice:
        """Return the notice that a report has as plain JSON values.

        Raises:
            TypeError, ValueError: the values are not those of a notice.
        """
        return cls(**{**values, "kind": NoticeKind(values["kind"])})


@dataclass(frozen=True)
class CellStop:
    """A statement of a cell that raised, and so ended without the statements around it.

    `line` counts from 1 within the cell; `error` is the exception's name and text.
    """

    line: int
    error: str

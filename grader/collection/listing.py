"""Files that were found in a folder or an archive, before anybody knows whose they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from grader.errors import InputError

__all__ = ["ARCHIVE", "NOTEBOOK", "ListedFile", "Listing", "SkippedFile", "is_debris", "is_work"]

NOTEBOOK = ".ipynb"
ARCHIVE = ".zip"

# Jupyter's and the systems' own copies, and what version control and package managers keep.
_DEBRIS = {"__macosx", "__pycache__", "node_modules", "thumbs.db", "desktop.ini", "venv"}


@dataclass(frozen=True)
class ListedFile:
    """One file: its path below what was given, in parts that are NFC, and a way to its bytes.

    `read` raises an InputError that says why, where the bytes cannot be had.
    """

    parts: tuple[str, ...]
    read: Callable[[], bytes]

    @property
    def suffix(self) -> str:
        """The ending of its name, folded: ".ipynb"."""
        stem, dot, ending = self.parts[-1].rpartition(".")
        return f".{ending.casefold()}" if stem and dot else ""

    @property
    def may_hold_work(self) -> bool:
        """Whether it is a notebook, or an archive that may hold some."""
        return is_work(self.parts[-1])

    @classmethod
    def unreadable(cls, parts: tuple[str, ...], why: str) -> ListedFile:
        """Return a file that is there and cannot be read: so its student is not overlooked."""
        return cls(parts, partial(_refuse, why))

    def below(self) -> ListedFile:
        """Return the same file, seen from one folder further down."""
        return ListedFile(self.parts[1:], self.read)


@dataclass(frozen=True)
class SkippedFile:
    """A file or folder that is not looked at, and why; "" where its kind says it."""

    parts: tuple[str, ...]
    why: str = ""

    def below(self) -> SkippedFile:
        """Return the same, seen from one folder further down."""
        return SkippedFile(self.parts[1:], self.why)


@dataclass(frozen=True)
class Listing:
    """What a folder or an archive holds; `folders` has those that may be empty, too."""

    files: tuple[ListedFile, ...]
    folders: frozenset[tuple[str, ...]] = frozenset()
    left_aside: tuple[SkippedFile, ...] = ()

    def first_parts(self) -> list[str]:
        """Return the names at the top, in order."""
        held: Iterable[tuple[str, ...]] = (*(file.parts for file in self.files), *self.folders)
        return sorted({parts[0] for parts in held})

    def beside(self, *left_aside: SkippedFile) -> Listing:
        """Return the same with what was left aside outside, which stays in sight by its path from here."""
        outside = (SkippedFile(("..", *left.parts), left.why) for left in left_aside)
        return Listing(self.files, self.folders, (*self.left_aside, *outside))

    def inside(self, folder: str) -> Listing:
        """Return what a folder at the top holds, seen from there."""
        return Listing(
            tuple(file.below() for file in self.files if file.parts[0] == folder and len(file.parts) > 1),
            frozenset(parts[1:] for parts in self.folders if parts[0] == folder and len(parts) > 1),
            tuple(left.below() for left in self.left_aside if left.parts[0] == folder and len(left.parts) > 1),
        )


def is_work(name: str) -> bool:
    """Return whether a file of this name is a notebook, or an archive that may hold some."""
    return name.casefold().endswith((NOTEBOOK, ARCHIVE))


def is_debris(name: str) -> bool:
    """Return whether a file or folder of this name is no student's work: hidden ones, and copies that systems keep."""
    return name.startswith(".") or name.casefold() in _DEBRIS


def _refuse(why: str) -> bytes:
    raise InputError(why)

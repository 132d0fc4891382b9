"""The files in a folder or an archive, before they are assigned to students."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from grader.errors import InputError

__all__ = ["ARCHIVE", "NOTEBOOK", "ListedFile", "Listing", "SkippedFile", "is_debris", "is_work"]

NOTEBOOK = ".ipynb"
ARCHIVE = ".zip"

# Copies that Jupyter and operating systems make, and the folders of version control and package managers.
_DEBRIS = {"__macosx", "__pycache__", "node_modules", "thumbs.db", "desktop.ini", "venv"}


@dataclass(frozen=True)
class ListedFile:
    """One file: the parts of its path below the root, normalised to NFC, and a function that reads it.

    `read` raises an InputError with the reason if the file cannot be read.
    """

    parts: tuple[str, ...]
    read: Callable[[], bytes]

    @property
    def suffix(self) -> str:
        """The extension of its name in lower case, such as ".ipynb"."""
        stem, dot, ending = self.parts[-1].rpartition(".")
        return f".{ending.casefold()}" if stem and dot else ""

    @property
    def may_hold_work(self) -> bool:
        """Whether it is a notebook, or an archive that may hold notebooks."""
        return is_work(self.parts[-1])

    @classmethod
    def unreadable(cls, parts: tuple[str, ...], why: str) -> ListedFile:
        """Return a file that exists but cannot be read, so that its student is not overlooked."""
        return cls(parts, partial(_refuse, why))

    def below(self) -> ListedFile:
        """Return the same file with its path relative to the folder below the root."""
        return ListedFile(self.parts[1:], self.read)


@dataclass(frozen=True)
class SkippedFile:
    """A file or folder that is not read, and the reason; "" if the kind of file is the reason."""

    parts: tuple[str, ...]
    why: str = ""

    def below(self) -> SkippedFile:
        """Return the same with its path relative to the folder below the root."""
        return SkippedFile(self.parts[1:], self.why)


@dataclass(frozen=True)
class Listing:
    """The contents of a folder or an archive; `folders` includes empty ones."""

    files: tuple[ListedFile, ...]
    folders: frozenset[tuple[str, ...]] = frozenset()
    skipped: tuple[SkippedFile, ...] = ()

    def first_parts(self) -> list[str]:
        """Return the names at the top level, sorted."""
        paths: Iterable[tuple[str, ...]] = (*(file.parts for file in self.files), *self.folders)
        return sorted({parts[0] for parts in paths})

    def with_skipped_outside(self, *skipped: SkippedFile) -> Listing:
        """Return the same with files that were skipped in the parent folder, under their paths from here ("../x")."""
        outside = (SkippedFile(("..", *file.parts), file.why) for file in skipped)
        return Listing(self.files, self.folders, (*self.skipped, *outside))

    def subfolder(self, folder: str) -> Listing:
        """Return the contents of a folder at the top level, with paths relative to it."""
        return Listing(
            tuple(file.below() for file in self.files if file.parts[0] == folder and len(file.parts) > 1),
            frozenset(parts[1:] for parts in self.folders if parts[0] == folder and len(parts) > 1),
            tuple(file.below() for file in self.skipped if file.parts[0] == folder and len(file.parts) > 1),
        )


def is_work(name: str) -> bool:
    """Return whether a file of this name is a notebook, or an archive that may hold notebooks."""
    return name.casefold().endswith((NOTEBOOK, ARCHIVE))


def is_debris(name: str) -> bool:
    """Return whether a file or folder of this name is hidden, or one that programs make and no student hands in."""
    return name.startswith(".") or name.casefold() in _DEBRIS


def _refuse(why: str) -> bytes:
    raise InputError(why)

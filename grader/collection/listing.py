"""The files in a folder or an archive, before they are assigned to students."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property, partial

from grader.errors import InputError
from grader.submission.kinds import (
    ARCHIVE,
    is_document_name,
    is_export,
    is_notebook_name,
    is_unclear_name,
    looks_like_notebook,
    name_notebook,
)

__all__ = ["ListedFile", "Listing", "SkippedFile", "is_debris", "is_work"]

# Copies that Jupyter and operating systems make, and the folders of version control and package managers.
_DEBRIS = {"__macosx", "__pycache__", "node_modules", "thumbs.db", "desktop.ini", "venv"}
_PACKED = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".gz", ".7z", ".rar", ".egg", ".alz")
_LARGEST_UNCLEAR = 32 * 2**20  # bytes of a file that is read to find out whether it is a notebook


@dataclass(frozen=True)
class ListedFile:
    """One file: the parts of its path below the root, normalised to NFC, and a function that reads it.

    `read` raises an InputError with the reason if the file cannot be read. `size` is its size in bytes before it is
    read.
    """

    parts: tuple[str, ...]
    read: Callable[[], bytes]
    size: int = 0

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.parts[-1]

    @property
    def path(self) -> str:
        """Its path with "/" between the parts."""
        return "/".join(self.parts)

    @property
    def stem(self) -> str:
        """Its name without the ending."""
        if is_notebook_name(self.name):
            return name_notebook(self.name).rpartition(".")[0]
        stem, dot, _ = self.name.rpartition(".")
        return stem if stem and dot else self.name

    @property
    def is_archive(self) -> bool:
        """Whether its name is that of a zip file."""
        return self.name.casefold().rstrip(" .").endswith(ARCHIVE)

    @property
    def is_packed(self) -> bool:
        """Whether its name is that of an archive that is not opened."""
        return self.name.casefold().endswith(_PACKED)

    @property
    def may_hold_work(self) -> bool:
        """Whether its name is that of a notebook, or of an archive that may hold notebooks."""
        return is_work(self.name)

    @classmethod
    def unreadable(cls, parts: tuple[str, ...], why: str) -> ListedFile:
        """Return a file that exists but cannot be read, so that its student is not overlooked."""
        return cls(parts, partial(_refuse, why))

    def below(self) -> ListedFile:
        """Return the same file with its path relative to the folder below the root."""
        return replace(self, parts=self.parts[1:])

    def is_meant_as_work(self) -> bool:
        """Return whether someone handed it in as their homework, though its name is no notebook's.

        That is a notebook under another ending, or another form of one: a PDF, a web page, an exported Python file.
        """
        is_python = self.name.casefold().endswith(".py")
        if is_document_name(self.name) and not is_python:
            return self.stem.casefold() not in ("readme", "license")
        if self.is_packed:
            return True
        if not (is_unclear_name(self.name) or is_python) or self.size > _LARGEST_UNCLEAR:
            return False
        try:
            data = self.read()
        except InputError:
            return False
        return is_export(self.name, data) or looks_like_notebook(data)


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

    @cached_property
    def work(self) -> tuple[ListedFile, ...]:
        """The files that may hold notebooks. If no name says so, those that seem to be meant as the homework."""
        named = tuple(file for file in self.files if file.may_hold_work)
        return named or tuple(file for file in self.files if file.is_meant_as_work())

    @cached_property
    def work_paths(self) -> frozenset[tuple[str, ...]]:
        """The paths of `work`."""
        return frozenset(file.parts for file in self.work)

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
    return is_notebook_name(name) or name.casefold().rstrip(" .").endswith(ARCHIVE)


def is_debris(name: str) -> bool:
    """Return whether a file or folder of this name is hidden, or one that programs make and no student hands in."""
    return name.startswith(".") or name.casefold() in _DEBRIS


def _refuse(why: str) -> bytes:
    raise InputError(why)

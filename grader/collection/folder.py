"""Listing of folders on this machine that follows no links out of them."""

from __future__ import annotations

import os
import stat
import unicodedata
from functools import partial
from pathlib import Path

from grader.collection.listing import ListedFile, Listing, SkippedFile, is_debris, is_work
from grader.errors import InputError
from grader.spelling import did_you_mean
from grader.submission.notebook_json import DEFAULT_BOUNDS

__all__ = ["describe_unreadable", "list_folder", "read_file"]

_MOST_NAMES = 2_000  # of a folder, among which a misspelt file is looked for


def list_folder(root: Path) -> Listing:
    """List a folder and everything below it.

    Raises:
        InputError: the folder itself cannot be read.
    """
    files: list[ListedFile] = []
    folders: set[tuple[str, ...]] = set()
    skipped: list[SkippedFile] = []
    pending: list[tuple[Path, tuple[str, ...]]] = [(root, ())]
    while pending:
        folder, above = pending.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            if not above:
                raise InputError(f"{root}: cannot be read ({error.strerror}); check its permissions") from None
            skipped.append(SkippedFile(above, f"it cannot be read ({error.strerror})"))
            continue
        for entry in entries:
            parts = (*above, _normalise(entry.name))
            if is_debris(entry.name):
                skipped.append(SkippedFile(parts))
            elif entry.is_symlink():
                why = "it is a link, which is not followed; put the file itself there"
                if is_work(entry.name):
                    files.append(ListedFile.unreadable(parts, why))
                else:
                    skipped.append(SkippedFile(parts, why))
            elif entry.is_dir(follow_symlinks=False):
                folders.add(parts)
                pending.append((Path(entry.path), parts))
            elif entry.is_file(follow_symlinks=False):
                size = entry.stat(follow_symlinks=False).st_size
                files.append(ListedFile(parts, partial(read_file, Path(entry.path)), size))
            else:
                skipped.append(SkippedFile(parts, "it is no regular file"))
    return Listing(
        tuple(sorted(files, key=lambda file: file.parts)),
        frozenset(folders),
        tuple(sorted(skipped, key=lambda file: file.parts)),
    )


def read_file(path: Path) -> bytes:
    """Read a file. If it is larger than a notebook may be, read one byte more than that.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        # So that a file that has become a link or a pipe since it was listed is neither followed nor waited for.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise InputError("it is no regular file")
            return file.read(DEFAULT_BOUNDS.file_bytes + 1)
    except OSError as error:
        raise InputError(f"it cannot be read ({error.strerror}); check its permissions") from None


def describe_unreadable(path: Path, error: OSError | ValueError) -> str:
    """Return why a file that a person named cannot be read, and what the person probably meant if there is none."""
    if isinstance(error, FileNotFoundError):
        question = did_you_mean(path.name, _list_names(path.parent))
        return f"{path}: there is no such file; {question or 'check its name'}"
    reason = getattr(error, "strerror", None) or str(error)
    return f"{path}: cannot be read ({reason}); check its name and permissions"


def _list_names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))[:_MOST_NAMES]
    except OSError:
        return []


def _normalise(name: str) -> str:
    # A lone surrogate stands for a byte that is not UTF-8; it cannot be written to a report.
    return unicodedata.normalize("NFC", name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))

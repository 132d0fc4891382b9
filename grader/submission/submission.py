"""Submissions: a student's notebooks, read within bounds and normalised. No student code runs here."""

from __future__ import annotations

import hashlib
import os
import stat
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from grader.errors import SubmissionError
from grader.results.notice import Notice
from grader.submission.installs import neutralise_installs
from grader.submission.notebook_json import DEFAULT_BOUNDS, Bounds, parse, read_attachments, read_cell_names

__all__ = ["Bounds", "Cell", "CompanionFile", "Notebook", "Submission", "read_notebook", "read_submission"]

CellKind = Literal["code", "markdown", "raw"]

_KINDS: Mapping[str, CellKind] = {
    "code": "code",
    "markdown": "markdown",
    "raw": "raw",
}
_KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
_SHOWN_COMMAND = 120


@dataclass(frozen=True)
class Cell:
    """One cell of a notebook.

    Attributes:
        index: its place among all cells.
        kind: what it holds.
        source: its text, without install commands.
        id: its own id, "" if it has none.
        tags: its tags.
        grade_id: nbgrader's name for it, "" if it has none.
        attachments: the pictures attached to it, each with its name and its base64.
    """

    index: int
    kind: CellKind
    source: str
    id: str = ""
    tags: tuple[str, ...] = ()
    grade_id: str = ""
    attachments: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Notebook:
    """A notebook's cells in one format, without stored outputs."""

    name: str
    sha256: str
    cells: tuple[Cell, ...]
    metadata: Mapping[str, Any]
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True)
class CompanionFile:
    """A file that was handed in beside the notebooks, and lies in their working directory when they run.

    `path` is relative to that directory, with "/" between its parts.
    """

    path: str
    data: bytes


@dataclass(frozen=True)
class Submission:
    """One student's submission: one or more notebooks, and what was handed in beside them.

    `notices` are remarks on files that were skipped or could not be read.
    """

    notebooks: tuple[Notebook, ...]
    files: tuple[CompanionFile, ...] = ()
    notices: tuple[Notice, ...] = ()

    @cached_property
    def identity(self) -> str:
        """A hash of the notebooks' and files' bytes that does not depend on the notebooks' names and order."""
        digests = sorted(notebook.sha256 for notebook in self.notebooks)
        digests += sorted(f"{hashlib.sha256(file.data).hexdigest()} {file.path}" for file in self.files)
        return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def read_submission(paths: Iterable[str | os.PathLike[str]], bounds: Bounds = DEFAULT_BOUNDS) -> Submission:
    """Read the notebooks at these paths as one submission.

    Raises:
        SubmissionError: a file is missing, exceeds the bounds, or is not a notebook.
    """
    distinct = {Path(path).absolute(): Path(path) for path in paths}
    if not distinct:
        raise SubmissionError("no notebook was given; name one or more .ipynb files")
    named = zip(_make_names(list(distinct)), distinct.values(), strict=True)
    return Submission(tuple(read_notebook(name, _read_file(path, bounds), bounds) for name, path in named))


def read_notebook(name: str, data: bytes, bounds: Bounds = DEFAULT_BOUNDS) -> Notebook:
    """Read a notebook from its bytes; reports call it `name`.

    Raises:
        SubmissionError: the bytes exceed the bounds, or are not a notebook.
    """
    document = parse(name, data, bounds)
    notices: list[Notice] = []
    cells = []
    for index, stored in enumerate(document.cells):
        kind = _KINDS.get(str(stored.get("cell_type")))
        if kind is None:
            kind = "raw"
            notices.append(Notice("its type is unknown, so it was not run", file=name, cell=index))
        source = _normalise(stored["source"])
        if kind == "code":
            source, removed = neutralise_installs(source)
            if removed:
                notices.append(Notice(_describe_installs(removed), file=name, cell=index))
        cells.append(Cell(index, kind, source, *read_cell_names(stored), read_attachments(stored)))
    language = _language(document.metadata)
    if not language.casefold().startswith(("python", "ipython")):
        text = f"its metadata names the language {language}; it was run as Python"
        notices.insert(0, Notice(text, file=name))
    metadata = {**document.metadata, "kernelspec": _KERNEL}
    return Notebook(name, hashlib.sha256(data).hexdigest(), tuple(cells), metadata, tuple(notices))


def _normalise(source: str) -> str:
    # JSON can have lone surrogates, which neither files nor messages to a kernel can have.
    text = source.encode("utf-8", "replace").decode()
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _describe_installs(removed: tuple[str, ...]) -> str:
    first = removed[0] if len(removed[0]) <= _SHOWN_COMMAND else f"{removed[0][:_SHOWN_COMMAND]}…"
    what = f"`{first}` was" if len(removed) == 1 else f"`{first}` and {len(removed) - 1} more were"
    return f"{what} not run: the course's packages are installed already"


def _language(metadata: Mapping[str, Any]) -> str:
    """Return the language in a notebook's metadata, or Python if it names none."""
    for key, entry in (("kernelspec", "language"), ("language_info", "name")):
        description = metadata.get(key)
        if isinstance(description, dict) and isinstance(description.get(entry), str) and description[entry]:
            return str(description[entry])[:_SHOWN_COMMAND]
    return "python"


def _read_file(path: Path, bounds: Bounds) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
            raise SubmissionError(f"{path}: this is {kind}; name the notebook file itself")
        if status.st_size <= bounds.file_bytes:
            with open(path, "rb", opener=_open_without_waiting) as file:
                return file.read(bounds.file_bytes + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SubmissionError(f"{path}: cannot be read ({reason}); check its name and permissions") from error
    raise SubmissionError(f"{path}: {bounds.past_file_size(status.st_size)}")


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file without waiting for a writer if it has become a pipe since its status was read."""
    return os.open(path, flags | os.O_NONBLOCK)


def _make_names(paths: list[Path]) -> list[str]:
    """Return each path's file name, with as many folders before it as make it unique."""
    # macOS stores Korean file names decomposed. Composed, a name is the same on every system.
    parts = [tuple(unicodedata.normalize("NFC", part) for part in path.parts) for path in paths]
    names = []
    for own, path in zip(parts, paths, strict=True):
        suffixes = (own[-length:] for length in range(1, len(own) + 1))
        unique = (suffix for suffix in suffixes if sum(other[-len(suffix) :] == suffix for other in parts) == 1)
        names.append(str(Path(*next(unique, path.parts))))
    return names

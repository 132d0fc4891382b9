"""Submissions: a student's notebooks, read within bounds and normalised. No student code runs here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from grader.errors import SubmissionError
from grader.results.notice import Notice
from grader.results.source_cells import Sources, collect_sources
from grader.submission.install_notice import describe_installs
from grader.submission.installs import neutralise_installs
from grader.submission.notebook_json import DEFAULT_BOUNDS, Bounds, parse, read_attachments, read_cell_names

__all__ = ["Bounds", "Cell", "CompanionFile", "Notebook", "Submission", "read_notebook", "require_notebook"]

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
    """A notebook's cells in one format, without stored outputs.

    `name` is its path in the submission, with "/" between the parts. It runs in the folder that it lies in.
    """

    name: str
    sha256: str
    cells: tuple[Cell, ...]
    metadata: Mapping[str, Any]
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True)
class CompanionFile:
    """A file that was handed in beside the notebooks, and lies there when they run.

    `path` is its path in the submission, with "/" between the parts.
    """

    path: str
    data: bytes

    @cached_property
    def sha256(self) -> str:
        """The sha256 of its content."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True)
class Submission:
    """One student's submission: the notebooks that can be read, maybe none, and what was handed in beside them.

    `notices` are remarks on files that were skipped or could not be read.
    """

    notebooks: tuple[Notebook, ...]
    files: tuple[CompanionFile, ...] = ()
    notices: tuple[Notice, ...] = ()

    @cached_property
    def identity(self) -> str:
        """A hash of all that its code can see of it: the notebooks in their order, and the files, with their paths.

        Paths and order count, because they could carry into a second run of the same bytes what a report of the first
        one showed.
        """
        notebooks = [(notebook.name, notebook.sha256) for notebook in self.notebooks]
        files = sorted((file.path, file.sha256) for file in self.files)
        return hashlib.sha256(json.dumps([notebooks, files]).encode()).hexdigest()

    @property
    def sources(self) -> Sources:
        """The cells of its notebooks, bounded, for reports that show code."""
        return collect_sources(
            (notebook.name, ((cell.kind, cell.source) for cell in notebook.cells)) for notebook in self.notebooks
        )


def require_notebook(submission: Submission) -> None:
    """Refuse a submission in which no notebook can be read.

    Raises:
        SubmissionError: there is none; the message says what is wrong with each file.
    """
    if not submission.notebooks:
        raise SubmissionError("; ".join(map(str, submission.notices)) or "there is no notebook in it")


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
                notices.append(Notice(describe_installs(removed), file=name, cell=index))
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


def _language(metadata: Mapping[str, Any]) -> str:
    """Return the language in a notebook's metadata, or Python if it names none."""
    for key, entry in (("kernelspec", "language"), ("language_info", "name")):
        description = metadata.get(key)
        if isinstance(description, dict) and isinstance(description.get(entry), str) and description[entry]:
            return str(description[entry])[:_SHOWN_COMMAND]
    return "python"

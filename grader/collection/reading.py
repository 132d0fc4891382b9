"""Reads one submission from files, folders and zip files on this machine, or from files that were sent."""

from __future__ import annotations

import errno
import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

from grader.collection.archive import DEFAULT_ARCHIVE_BOUNDS, Allowance, ArchiveBounds
from grader.collection.collected import CollectedSubmission
from grader.collection.collecting import make_listed_file
from grader.collection.folder import describe_unreadable, list_folder, read_file
from grader.collection.gathering import Gatherer, arrange
from grader.collection.listing import ListedFile, SkippedFile
from grader.errors import SubmissionError
from grader.results.notice import Notice, NoticeKind
from grader.submission.submission import Notebook, Submission

__all__ = ["collect_submission", "find_notebooks", "list_paths", "read_submission"]

# What a notebook takes from the folder that it lies in.
_IMPORT = re.compile(r"^[ \t]*(?:from|import)[ \t]+([A-Za-z_]\w*)", re.M)
_RUN = re.compile(r"^[ \t]*%run[ \t]+(?:-\w+[ \t]+)*[\"']?([\w./-]+?)(?:\.py)?[\"']?[ \t]*$", re.M)


def read_submission(paths: Iterable[str | os.PathLike[str]]) -> Submission:
    """Read the files of one submission: notebooks, what lies beside them, folders and zip files.

    Whatever is no notebook and cannot be used is named in the submission's notices. Only the named files come along; a
    notice says if a notebook imports a module that lies beside it and was not named.

    Raises:
        SubmissionError: no path was given, or one does not exist or cannot be read.
    """
    root, files, skipped = _list_all([Path(path) for path in paths])
    collected = _collect(files, skipped, DEFAULT_ARCHIVE_BOUNDS)
    submission = collected.read()
    named = {file.path for file in files}
    missing = [notice for notebook in submission.notebooks for notice in _find_missing(notebook, root, named)]
    return replace(submission, notices=(*submission.notices, *dict.fromkeys(missing)))


def collect_submission(
    files: Iterable[tuple[str, bytes]], bounds: ArchiveBounds = DEFAULT_ARCHIVE_BOUNDS
) -> CollectedSubmission:
    """Collect files, given by name and content, as the submission of one student.

    Raises:
        InputError: archives among them unpack to more than is read.
    """
    return _collect([make_listed_file(name, data) for name, data in files], [], bounds)


def list_paths(paths: Iterable[Path]) -> list[Path]:
    """Return the files that `read_submission` reads at these paths, and those in their folders.

    Raises:
        SubmissionError: no path was given, or a folder cannot be read.
    """
    root, files, _ = _list_all(list(paths))
    return [root / file.path for file in files]


def find_notebooks(submission: Submission, paths: Sequence[Path]) -> dict[str, Path]:
    """Return the paths of a submission's notebooks on this machine by their names; those in archives have none."""
    _, files, _ = _list_all(list(paths))
    root = _find_root([path.absolute() for path in paths])
    found = {}
    for notebook in submission.notebooks:
        # Folders around all files are no part of a name.
        ends = (file for file in files if f"/{file.path}".endswith(f"/{notebook.name}"))
        if file := min(ends, key=lambda file: len(file.parts), default=None):
            found[notebook.name] = root / file.path
    return found


def _collect(files: Sequence[ListedFile], skipped: Sequence[SkippedFile], bounds: ArchiveBounds) -> CollectedSubmission:
    gatherer = Gatherer(bounds, Allowance(bounds.bytes, bounds.all_entries))
    gathered = gatherer.open_archives(files, skipped, depth=0)
    notebooks = gatherer.read_notebooks(gathered)
    arranged = arrange(notebooks, gatherer.read_companions(gathered), numbered=False)
    return CollectedSubmission("submission", "submission", {}, tuple(arranged), tuple(gathered.notices))


def _list_all(paths: list[Path]) -> tuple[Path, list[ListedFile], list[SkippedFile]]:
    """Return the folder that names start from, the files at and below the paths, and the skipped ones."""
    if not paths:
        raise SubmissionError("no file was given; name one or more .ipynb files, or a folder")
    for path in paths:
        _read_status(path)  # as it was given, because the message shows it
    distinct = list(dict.fromkeys(path.absolute() for path in paths))
    root = _find_root(distinct)
    files: dict[tuple[str, ...], ListedFile] = {}
    skipped: list[SkippedFile] = []
    for path in distinct:
        parts = tuple(unicodedata.normalize("NFC", part) for part in path.relative_to(root).parts)
        if stat.S_ISDIR(_read_status(path).st_mode):
            listing = list_folder(path)
            files |= {
                file.parts: file for file in (replace(item, parts=(*parts, *item.parts)) for item in listing.files)
            }
            skipped += [SkippedFile((*parts, *item.parts), item.why) for item in listing.skipped]
        else:
            files[parts] = ListedFile(parts, partial(read_file, path.resolve()), _read_status(path).st_size)
    return root, list(files.values()), skipped


def _find_root(paths: Sequence[Path]) -> Path:
    if len(paths) == 1:
        return paths[0] if stat.S_ISDIR(_read_status(paths[0]).st_mode) else paths[0].parent
    return Path(os.path.commonpath([path.parent for path in paths]))


def _read_status(path: Path) -> os.stat_result:
    """Return the status of a file or folder.

    Raises:
        SubmissionError: it is missing, cannot be read, or is neither.
    """
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode) and not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except (OSError, ValueError) as error:
        raise SubmissionError(describe_unreadable(path, error)) from error
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise SubmissionError(f"{path}: this is no regular file; name the notebook itself")
    return status


def _find_missing(notebook: Notebook, root: Path, named: set[str]) -> Iterator[Notice]:
    """Yield notices on modules that a notebook uses, that lie beside it, and that were not handed in with it."""
    folder = root / PurePosixPath(notebook.name).parent
    source = "\n".join(cell.source for cell in notebook.cells if cell.kind == "code")
    for module in dict.fromkeys((*_IMPORT.findall(source), *_RUN.findall(source))):
        path = folder / f"{module}.py"
        relative = str(PurePosixPath(notebook.name).parent / f"{module}.py")
        if relative not in named and path.is_file():
            text = f"{path.name} lies beside {notebook.name}, which uses it; name it too, or give the folder"
            yield Notice(text, NoticeKind.SKIPPED_FILE, subject=path.name)

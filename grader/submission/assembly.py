"""Makes a submission of the files that were handed in: notebooks by their content, and the files beside them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from grader.errors import SubmissionError
from grader.results.notice import Notice, NoticeKind
from grader.submission.kinds import describe_content, is_notebook
from grader.submission.notebook_json import DEFAULT_BOUNDS, Bounds
from grader.submission.submission import CompanionFile, Notebook, Submission, read_notebook

__all__ = [
    "DEFAULT_COMPANION_BOUNDS",
    "CompanionBounds",
    "assemble_submission",
    "explain_left_out",
    "make_skipped_notice",
]

_NAMED = 5  # files in notices on those that are too many


@dataclass(frozen=True)
class CompanionBounds:
    """How much may be handed in beside the notebooks of one submission.

    Attributes:
        files: number of files.
        bytes: size of all of them together.
        name_bytes: of one part of a path in UTF-8; file systems take 255.
        path_length: characters of a whole path.
        depth: parts of a path.
    """

    files: int = 500
    bytes: int = 50 * 2**20
    name_bytes: int = 255
    path_length: int = 1000
    depth: int = 20


DEFAULT_COMPANION_BOUNDS = CompanionBounds()


def assemble_submission(
    files: Iterable[tuple[str, bytes]],
    notices: Iterable[Notice] = (),
    bounds: Bounds = DEFAULT_BOUNDS,
    companion_bounds: CompanionBounds = DEFAULT_COMPANION_BOUNDS,
) -> Submission:
    """Return the files of one student as a submission.

    A file is a notebook if its content or its name says so, whatever its ending is. One that cannot be read costs only
    itself: a notice names it and says what to do.

    Args:
        files: path and content of each file. Paths are relative to the submission's folder, and distinct.
        notices: remarks on files that were left out before.
        bounds: how large a notebook may be.
        companion_bounds: how much may lie beside the notebooks.
    """
    assembly = _Assembly(bounds, companion_bounds, list(notices))
    for path, data in files:
        assembly.add(path, data)
    return assembly.finish()


def make_skipped_notice(path: str, why: str, kind: NoticeKind = NoticeKind.SKIPPED_FILE) -> Notice:
    """Return the notice on a file that was left out; `why` also says what to do."""
    return Notice(why, kind, subject=path.rpartition("/")[2], file=path)


def explain_left_out(left_out: Sequence[str], bounds: CompanionBounds = DEFAULT_COMPANION_BOUNDS) -> list[Notice]:
    """Return the notices on files past the bounds: one for each of the first few, and one for the others together."""
    most = f"{bounds.files:,} files and {bounds.bytes >> 20} MB"
    why = f"it was left out, because more than {most} lie beside the notebooks; hand in only what they need"
    notices = [make_skipped_notice(path, why) for path in left_out[:_NAMED]]
    if (more := len(left_out) - _NAMED) > 0:
        notices.append(Notice(f"{more:,} more files were left out for the same reason"))
    return notices


@dataclass
class _Assembly:
    """A submission in the making."""

    bounds: Bounds
    companion_bounds: CompanionBounds
    notices: list[Notice]
    notebooks: list[Notebook] = field(default_factory=list)
    companions: dict[str, bytes] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)  # that hold companions
    others: list[tuple[str, bytes]] = field(default_factory=list)  # than notebooks
    left_out: list[str] = field(default_factory=list)
    size: int = 0

    def add(self, path: str, data: bytes) -> None:
        """Add a file."""
        if is_notebook(path, data):
            self._add_notebook(path, data)
            return
        self.others.append((path, data))
        if why := self._find_obstacle(path):
            self.notices.append(make_skipped_notice(_printable(path), why))
        elif len(self.companions) >= self.companion_bounds.files or self.size + len(data) > self.companion_bounds.bytes:
            self.left_out.append(path)
        else:
            self.size += len(data)
            self.companions[path] = data
            self.folders.update(_folders_of(path))

    def finish(self) -> Submission:
        """Return the submission."""
        notices = [*self.notices, *explain_left_out(self.left_out, self.companion_bounds)]
        if not self.notebooks:
            notices += self._explain_lack()
        files = tuple(CompanionFile(path, data) for path, data in sorted(self.companions.items()))
        return Submission(tuple(self.notebooks), files, tuple(dict.fromkeys(notices)))

    def _add_notebook(self, path: str, data: bytes) -> None:
        try:
            notebook = read_notebook(path, data, self.bounds)
        except SubmissionError as error:
            why = describe_content(path, data) or str(error).removeprefix(f"{path}: ")
            self.notices.append(make_skipped_notice(path, why, NoticeKind.UNREADABLE_FILE))
            return
        earlier = next((other.name for other in self.notebooks if other.sha256 == notebook.sha256), None)
        if earlier is None:
            self.notebooks.append(notebook)
        else:
            self.notices.append(Notice(f"it is the same as {earlier}, and was not run again", file=path))

    def _find_obstacle(self, path: str) -> str:
        """Return why a file cannot lie in the working folder under its path; "" if it can."""
        parts, bounds = path.split("/"), self.companion_bounds
        if any(part in ("", ".", "..") for part in parts):
            return "its path leads out of the submission's folder; hand it in under another name"
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in path):
            return "its name has a control character; hand it in under another name"
        is_long = len(path) > bounds.path_length or any(len(part.encode()) > bounds.name_bytes for part in parts)
        if is_long or len(parts) > bounds.depth:
            return "its path is too long; hand it in under a shorter one"
        if (
            path in self.companions
            or path in self.folders
            or any(folder in self.companions for folder in _folders_of(path))
        ):
            return "another file or folder has the same name; hand it in under another name"
        return ""

    def _explain_lack(self) -> list[Notice]:
        """Return notices that say, for each file that may be meant as the homework, what to hand in instead."""
        described = ((path, describe_content(path, data)) for path, data in self.others)
        notices = [make_skipped_notice(path, why, NoticeKind.UNREADABLE_FILE) for path, why in described if why][
            :_NAMED
        ]
        if not notices and not any(notice.kind is NoticeKind.UNREADABLE_FILE for notice in self.notices):
            text = "there is no notebook in it; hand in the .ipynb file that Jupyter or Colab saves"
            notices.append(Notice(text, NoticeKind.UNREADABLE_FILE))
        return notices


def _folders_of(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts))]


def _printable(path: str) -> str:
    return "".join("\ufffd" if unicodedata.category(character) in ("Cc", "Cs") else character for character in path)

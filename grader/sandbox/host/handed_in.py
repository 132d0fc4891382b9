"""What was handed in, packed for the working folder of the sandbox: the files beside the notebooks, and themselves."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath

from grader.errors import SandboxFault
from grader.results.notice import Notice, NoticeKind
from grader.sandbox.protocol.file_pack import MAX_FILES, is_plain_path, pack_files
from grader.sandbox.protocol.limits import Limits
from grader.submission.executed_notebook import make_executed_notebook
from grader.submission.submission import CompanionFile, Notebook

__all__ = ["choose_files", "pack_handed_in"]

_SHARE = 0.5  # of what a notebook may write to the disk


def choose_files(
    notebooks: Sequence[Notebook], files: Sequence[CompanionFile], limits: Limits
) -> tuple[dict[str, bytes], list[Notice]]:
    """Return the files that lie in the working folder, by path, and notices on those that do not.

    A notebook without outputs is among them if something else can refer to it. Install commands in it are not run.
    """
    chosen: dict[str, bytes] = {}
    notices: list[Notice] = []
    if files or len(notebooks) > 1:
        for notebook in notebooks:
            text = make_executed_notebook(notebook, {}, {}).to_json()
            if is_plain_path(notebook.name):
                chosen[notebook.name] = text.encode("utf-8", "replace")
    left = int(_SHARE * limits.written_bytes) - sum(map(len, chosen.values()))
    for file in files:
        reason = _find_reason(file, chosen, left)
        if reason:
            text = f"{file.path[:200]} was handed in but is not in the working folder: {reason}"
            notices.append(Notice(text, NoticeKind.SKIPPED_FILE, file.path[:100]))
        elif file.path not in chosen:
            chosen[file.path] = file.data
            left -= len(file.data)
    return chosen, notices


def _find_reason(file: CompanionFile, chosen: dict[str, bytes], left: int) -> str:
    """Return why a file is left out, or "" if it is not."""
    if not is_plain_path(file.path):
        return "its name is no path inside the folder"
    if len(file.data) > left:
        return "all files together are too large"
    if len(chosen) >= MAX_FILES:
        return f"there are more than {MAX_FILES:,} files"
    if any(str(folder) in chosen for folder in PurePosixPath(file.path).parents):
        return "one of its folders has the name of another file"
    return ""


@contextmanager
def pack_handed_in(files: dict[str, bytes]) -> Iterator[int | None]:
    """Yield a descriptor of these files, by path, or None if there are none.

    Raises:
        SandboxFault: there is not enough memory.
    """
    if not files:
        yield None
        return
    try:
        descriptor = pack_files(files)
    except OSError as error:
        raise SandboxFault(f"what was handed in cannot be passed to the sandbox: {error}") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)

"""The folder in which the grader caches what would take time or a download to make again."""

from __future__ import annotations

import os
import shutil
import tempfile
from atexit import register
from collections.abc import Mapping
from functools import cache
from pathlib import Path

__all__ = ["cache_folder", "write_whole"]


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the cache folder, which exists and is writable.

    It is $GRADER_CACHE, else $XDG_CACHE_HOME/grader, else ~/.cache/grader (XDG Base Directory Specification). If it
    cannot be written, it is a private temporary folder that is removed at the end of the process.
    """
    folder = _configured_folder(environment)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return _temporary_folder()
    return folder if os.access(folder, os.W_OK | os.X_OK) else _temporary_folder()


def write_whole(path: Path, content: bytes | bytearray, mode: int = 0o644) -> None:
    """Write a file atomically: readers see the old or the new content, and the last of several writers wins.

    Args:
        path: the file; its folder must exist.
        content: the new content.
        mode: the permissions of the file.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    descriptor, unfinished = tempfile.mkstemp(dir=path.parent, prefix=".unfinished-")
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
        os.replace(unfinished, path)  # noqa: PTH105 - mkstemp returns a str
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise


def _configured_folder(environment: Mapping[str, str]) -> Path:
    if configured := environment.get("GRADER_CACHE"):
        return Path(configured).absolute()
    caches = Path(environment.get("XDG_CACHE_HOME", ""))  # the specification says to ignore relative paths
    home = Path(environment.get("HOME") or "~").expanduser()
    return (caches if caches.is_absolute() else home / ".cache") / "grader"


@cache
def _temporary_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="grader-cache-"))
    register(shutil.rmtree, folder, ignore_errors=True)
    return folder

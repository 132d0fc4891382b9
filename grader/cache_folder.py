"""Where the grader keeps what would cost time or a download to make again."""

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
    """Return the folder of everything that is kept, which is there and can be written.

    It is $GRADER_CACHE, else $XDG_CACHE_HOME/grader, else ~/.cache/grader (XDG Base Directory Specification); where
    that cannot be written, a private temporary folder that ends with the process.
    """
    folder = _wanted(environment)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return _temporary()
    return folder if os.access(folder, os.W_OK | os.X_OK) else _temporary()


def write_whole(path: Path, content: bytes | bytearray, mode: int = 0o644) -> None:
    """Write a file so that nobody ever sees a part of it; the last of several writers wins.

    Args:
        path: where to; its folder must be there.
        content: what to write.
        mode: who may read it.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    descriptor, unfinished = tempfile.mkstemp(dir=path.parent, prefix=".unfinished-")
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
        os.replace(unfinished, path)  # noqa: PTH105 - mkstemp gives a name
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise


def _wanted(environment: Mapping[str, str]) -> Path:
    if given := environment.get("GRADER_CACHE"):
        return Path(given).absolute()
    caches = Path(environment.get("XDG_CACHE_HOME", ""))  # the specification says that relative paths do not count
    home = Path(environment.get("HOME") or "~").expanduser()
    return (caches if caches.is_absolute() else home / ".cache") / "grader"


@cache
def _temporary() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="grader-cache-"))
    register(shutil.rmtree, folder, ignore_errors=True)
    return folder

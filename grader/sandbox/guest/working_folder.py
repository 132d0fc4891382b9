"""The folder that notebooks run in, as each kernel finds it.

All of this runs in the kernel's process after it is confined and before it runs any of the student's code. It may do
nothing that the student's code may not do, so links and races that a student leaves behind gain nothing.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from grader.sandbox.protocol.file_pack import unpack_files

__all__ = ["prepare_working_folder"]

_MOST_TRIES = 5  # to remove folders inside of each other that cannot be read
_SAVED = ".as-the-notebook-found-it"


def prepare_working_folder(
    state: str, inside: str, files: int | None, home: Path, writable: Sequence[Path], scratch: Path
) -> None:
    """Bring the working folder into the state in which a kernel finds it, and enter it.

    Args:
        state: "new" (nothing ran yet), "as handed in", "as left" (by the notebook before this one) or "as found" (by
            the first kernel of this notebook).
        inside: the notebook's own folder inside the working folder, or "".
        files: a descriptor of what was handed in (`protocol/file_pack.py`), which is closed; None if that is nothing.
        home: the working folder.
        writable: all folders that a notebook can write to.
        scratch: the one for temporary files.
    """
    saved = scratch / _SAVED
    if not home.is_dir() or home.is_symlink():
        _remove(home)
        home.mkdir()
    if state == "as left":
        _remove(saved)
        _copy(home, saved)
    elif state == "as found" and saved.is_dir():
        _empty(home, keep={saved})
        _copy(saved, home)
    elif state != "new":
        for folder in writable:
            _empty(folder, keep={home})
        _empty(home)
    if files is not None:
        if state in ("new", "as handed in"):
            _write(files, home)
        os.close(files)
    _enter(home, inside)


def _enter(home: Path, inside: str) -> None:
    """Enter the notebook's folder. Modules of the working folder are found from there as well, after all others."""
    os.chdir(home)
    if inside:
        with suppress(OSError):  # the notebook before this one has put something else there
            (home / inside).mkdir(parents=True, exist_ok=True)
            os.chdir(home / inside)
            sys.path.append(str(home))


def _write(files: int, home: Path) -> None:
    for path, data in unpack_files(files):
        with suppress(OSError):  # the disk is full, or one file's name is another one's folder
            (home / path).parent.mkdir(parents=True, exist_ok=True)
            (home / path).write_bytes(data)


def _empty(folder: Path, keep: set[Path] | frozenset[Path] = frozenset()) -> None:
    with suppress(OSError):
        for path in list(folder.iterdir()):
            if path not in keep:
                _remove(path)


def _copy(source: Path, target: Path) -> None:
    """Copy a folder with its links. What cannot be read or does not fit is left out."""

    def ignore(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if name == _SAVED or not _is_plain(Path(folder, name))]

    with suppress(OSError, RecursionError):
        shutil.copytree(source, target, symlinks=True, ignore=ignore, dirs_exist_ok=True)


def _is_plain(path: Path) -> bool:
    try:
        mode = path.lstat().st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)


def _remove(path: Path) -> None:
    """Remove a file or a folder, also one that its owner made unreadable."""
    with suppress(OSError, RecursionError):
        if not path.is_dir() or path.is_symlink():
            path.unlink()
        for _ in range(_MOST_TRIES):
            if path.is_dir():
                shutil.rmtree(path, onerror=_open_up)


def _open_up(_function: Any, name: str, _error: Any) -> None:
    with suppress(OSError):
        for folder in (Path(name).parent, Path(name)):
            if folder.is_dir() and not folder.is_symlink():
                folder.chmod(0o700)

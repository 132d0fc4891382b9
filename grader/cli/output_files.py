"""The files that commands write: refused before the work if they cannot be written, and never lost after it."""

from __future__ import annotations

import errno
import os
import stat
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from grader.cli.runner_log import escape_commands, is_ci
from grader.errors import InputError, SystemFault

__all__ = ["refuse_unwritable", "save_reports", "write_text"]


def refuse_unwritable(*files: str) -> None:
    """Refuse output files that cannot be written, before any work is done.

    Args:
        files: the files, "-" for standard output, and "" for none.

    Raises:
        InputError: two reports have the same file, its folder does not exist, or it cannot be written.
    """
    targets = [file for file in files if file]
    for file in targets:
        if [_identify(other) for other in targets].count(_identify(file)) > 1:
            where = "to standard output" if file == "-" else f"to {file}"
            raise InputError(f"two reports would go {where}: give each a file of its own")
        if file != "-" and (reason := _find_obstacle(Path(file))):
            raise InputError(f"cannot write the report to {file}: {reason}")


def write_text(file: str, text: str) -> None:
    """Write text to a file, or to standard output if `file` is "-".

    Raises:
        SystemFault: the file cannot be written. The text is kept in another file, which the message names.
    """
    if file == "-":
        # Bytes, because JSON is UTF-8 whatever the terminal's encoding is.
        sys.stdout.flush()
        sys.stdout.buffer.write((escape_commands(text) if is_ci() else text).encode("utf-8"))
        sys.stdout.flush()
        return
    path, is_new = Path(file), not Path(file).exists()
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        if is_new:
            with suppress(OSError):
                path.unlink(missing_ok=True)  # the part of it that was written
        raise SystemFault(f"cannot write the report to {file}: {error.strerror}; {_keep(path.name, text)}") from None


def save_reports(reports: Iterable[tuple[str, str]]) -> list[str]:
    """Write reports, each with its file; return what could not be written, and where it is instead."""
    problems = []
    for file, text in reports:
        try:
            write_text(file, text)
        except SystemFault as error:
            problems.append(str(error))
    return problems


def _identify(file: str) -> str:
    return file if file == "-" else os.path.realpath(file)


def _find_obstacle(path: Path) -> str:
    """Return why a file cannot be written, "" if it can. Nothing is left behind."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = None
    except OSError as error:
        return _explain(error, path)
    if mode is not None and stat.S_ISDIR(mode):
        return "it is a folder; give a file in it"
    if mode is not None and not stat.S_ISREG(mode):  # a pipe or a device: to open it could wait or do something
        return "" if os.access(path, os.W_OK) else "you may not write to it"
    try:
        with path.open("ab") as probe:
            if mode is None:
                probe.write(b"\0")  # a full disk creates files, and writes nothing into them
    except OSError as error:
        return _explain(error, path)
    finally:
        if mode is None:
            with suppress(OSError):
                path.unlink(missing_ok=True)
    return ""


def _explain(error: OSError, path: Path) -> str:
    folder = path.absolute().parent
    if error.errno == errno.ENOENT and not folder.is_dir():
        return f"there is no folder {folder}; create it, or give a file in a folder that exists"
    if error.errno == errno.ENOTDIR:
        return f"{folder} is not a folder; give a file in a folder that exists"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "you have no permission; give a file in a folder of yours"
    if error.errno == errno.EROFS:
        return "the disk can only be read; give a file in another folder"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full; free some space, or give a file on another disk"
    return error.strerror or type(error).__name__


def _keep(name: str, text: str) -> str:
    """Write a text to a new folder for temporary files, and say where; to standard output if that fails, too."""
    try:
        path = Path(tempfile.mkdtemp(prefix="grader-")) / name
        path.write_text(text, encoding="utf-8")
    except OSError:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8"))
        sys.stdout.flush()
        return "it is printed here instead"
    return f"it is in {path} instead"

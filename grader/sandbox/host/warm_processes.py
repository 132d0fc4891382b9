"""Warm processes: those that this process was lent by the one that it is a fork of, and new ones."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from grader.assignment import Assignment
from grader.sandbox.host.sandbox import Zygote, ZygoteLine

__all__ = ["accept_lines", "open_zygote"]

_lent: dict[tuple[str, ...], ZygoteLine] = {}
_reports: list[socket.socket] = []  # one, or none


def accept_lines(lines: Mapping[tuple[str, ...], socket.socket], reports: socket.socket) -> None:
    """Take over lines to warm processes, for `open_zygote`.

    Args:
        lines: our ends of the lines, by the packages that each process has imported.
        reports: a socket on which `open_zygote` sends the folder of each assignment, so that it is loaded for others.
    """
    _lent.update({packages: ZygoteLine(line) for packages, line in lines.items()})
    _reports.append(reports)


@contextmanager
def open_zygote(assignment: Assignment, library_folders: Sequence[Path] = ()) -> Iterator[ZygoteLine]:
    """Open a line to a warm process with an assignment's packages: one that this process was lent, else a new one.

    Args:
        assignment: the assignment.
        library_folders: folders in which the dynamic linker looks first. A process that was lent has none.

    Raises:
        InputError: a package that grading needs is missing.
    """
    for reports in _reports:
        with suppress(OSError):
            reports.send(os.fsencode(assignment.folder.absolute()))
    lent = None if library_folders else _lent.pop(assignment.packages, None)
    with lent if lent is not None and not lent.ended else Zygote(assignment.packages, library_folders) as zygote:
        yield zygote

"""Run a notebook's cells again in a fork of it, with other data in place of some (`grader/models/rerun.py`)."""

from __future__ import annotations

import ast
import os
import signal
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from IPython.core.getipython import get_ipython

from grader.models.rerun import FILE_PREFIX, RerunCell, RerunTimeout, Substitution, rerun_cells
from grader.sandbox.guest.internals.ipython import display_nothing, parse_body
from grader.sandbox.guest.objects import read_small_value
from grader.sandbox.guest.own_modules import lies_among_packages
from grader.sandbox.guest.parsing import Unparsed

__all__ = ["rerun_notebook"]

_SECONDS = 5.0
_SHELL = "get_ipython"  # the name that IPython's own transforms of a magic begin with
_MAGICS = ("capture", "prun", "time", "timeit")  # those whose body is run, without what they add to it
_NAMED_BY_PYTHON = "<"  # files that are none: "<string>", "<__array_function__ internals>"
_BOOK = f"{os.sep}d2l{os.sep}"


def rerun_notebook(
    cells: Sequence[tuple[int, str]],
    namespace: dict[str, Any],
    substitutions: Sequence[Substitution],
    wanted: Mapping[int, Collection[str]],
    entries: int,
    stand_ins: Mapping[str, Any],
) -> dict[str, Any]:
    """Run cells again in the notebook's namespace, and return what was noted as plain data.

    Args:
        cells: the index and the source of each.
        namespace: the kernel's, in a process that is used for nothing else.
        substitutions: the data and what takes its place.
        wanted: for each cell, the names whose values are noted.
        entries: how many entries the tensors have that are noted when a function returns them.
        stand_ins: what some names are bound to, whatever the cells bind them to.
    """
    _end_after(_SECONDS)
    shell: Any = get_ipython()
    display_nothing(shell)
    read = (RerunCell(index, source, tuple(_parse(shell, source))) for index, source in cells)
    notes = rerun_cells(
        read,
        namespace,
        substitutions,
        wanted,
        read=read_small_value,
        is_own=_is_own,
        entries=entries,
        stand_ins=stand_ins,
    )
    return {"values": tuple(notes.values), "returned": tuple(notes.returned), "substituted": notes.substituted}


def _end_after(seconds: float) -> None:
    """End the rerun after some seconds of this process's own time, whatever runs then."""

    def end(*_: Any) -> None:
        raise RerunTimeout

    signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)


def _parse(shell: Any, source: str) -> Iterator[ast.stmt]:
    """Yield the statements of a cell without its magics, but with the bodies of those that run Python."""
    try:
        tree = parse_body(shell, source)[1]
    except Exception:  # no Python at all, or a transform of the student's own
        return
    for statement in tree.body:
        if isinstance(statement, Unparsed):
            continue
        call = statement.value if isinstance(statement, ast.Expr | ast.Assign) else None
        if not (isinstance(call, ast.Call) and _SHELL in ast.unparse(call.func)):
            yield statement
        elif isinstance(statement, ast.Expr) and (body := _find_body(call)):
            yield from _parse(shell, body)


def _find_body(call: ast.Call) -> str:
    """Return the Python that a magic runs, or ""."""
    arguments = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
    texts = [argument for argument in arguments if isinstance(argument, str)]
    return texts[-1] if len(texts) > 1 and texts[0] in _MAGICS else ""


@cache
def _is_own(file: str) -> bool:
    """Return whether the functions of a file are the student's own or the book's."""
    if file.startswith(_NAMED_BY_PYTHON):
        return file.startswith(FILE_PREFIX)
    return _BOOK in file or not lies_among_packages(file)

"""The trusted end of a rerun: a notebook's cells, run once more in a fork of it with other data in place of some."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor

from grader.models.rerun import EVERY_NAME, Substitution
from grader.sandbox.host.decoding import reject_malformed
from grader.sandbox.host.execution import Execution
from grader.sandbox.protocol.tensors import tensor_to_array
from grader.student import Fault, Recorded, Rerun, StudentFault
from grader.submission.submission import Notebook

__all__ = ["RERUN_SECONDS", "choose_all_cells", "choose_cells", "record_again", "rerun"]

RERUN_SECONDS = 40.0  # for all reruns of a submission; each ends by itself after 5 s of processor time

_COMPLETE = ("ok", "raised")  # how a cell ended whose statements were all run
_HUNG = "timed out"  # how a cell ended that may end well with a right function in place of a wrong one
_SMALL_MODEL = 1024  # parameters of one that is trained in a moment
_MOST_VALUES = 500
_MOST_RETURNED = 32


class _Asked(Protocol):
    def ask(self, request: dict[str, Any]) -> Any: ...


def choose_cells(notebook: Notebook, wanted: Sequence[Recorded], execution: Execution) -> tuple[tuple[int, str], ...]:
    """Return the cells that are run again, each with its source: those up to the last with a wanted value.

    Without such a value, a cell is left out if it hung or ended its kernel, or trained a model, which takes too long.
    """
    last, showing = max(record.cell for record in wanted), {record.cell for record in wanted}
    trained = {training.cell for training in execution.trainings if training.file == notebook.name}
    ends = {cell: result.status for (file, cell), result in execution.cells.items() if file == notebook.name}
    return tuple(
        (cell.index, cell.source)
        for cell in notebook.cells
        if cell.index in showing
        or (cell.index < last and cell.index not in trained and ends.get(cell.index) in _COMPLETE)
    )


def choose_all_cells(notebook: Notebook, execution: Execution) -> tuple[tuple[int, str], ...]:
    """Return the cells of a whole notebook that can be run again.

    Those that train a large model are left out, and those that make an object for one call and keep nothing, such as
    `VGG().layer_summary((1, 1, 224, 224))`: they take long, and nothing that is looked at depends on them.
    """
    showing = {note.cell for note in execution.notes if note.file == notebook.name}
    trained = {
        training.cell
        for training in execution.trainings
        if training.file == notebook.name and training.parameters > _SMALL_MODEL
    }
    ends = {cell: result.status for (file, cell), result in execution.cells.items() if file == notebook.name}
    return tuple(
        (cell.index, cell.source)
        for cell in notebook.cells
        if cell.index not in trained
        and ends.get(cell.index) in (*_COMPLETE, _HUNG)
        and (cell.index in showing or not _keeps_nothing(cell.source))
    )


def _keeps_nothing(source: str) -> bool:
    """Tell whether a cell only calls methods of objects that it makes for that."""
    try:
        statements = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return bool(statements) and all(map(_is_call_of_new_object, statements))


def _is_call_of_new_object(statement: ast.stmt) -> bool:
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name())))):
            return not any(isinstance(node, ast.NamedExpr) for node in ast.walk(statement))
    return False


def record_again(student: _Asked, file: str, cells: Sequence[tuple[int, str]]) -> tuple[Recorded, ...]:
    """Ask a process of a notebook to run its cells again, and return the small values that names then had.

    Raises:
        StudentFault: the process does not respond, or not as it should.
    """
    wanted = {str(cell): (EVERY_NAME,) for cell, _ in cells}
    request = {"operation": "rerun", "cells": tuple(cells), "wanted": wanted, "substitutions": (), "entries": 0}
    return _read_values(student.ask(request), file)


def rerun(
    student: _Asked,
    cells: Sequence[tuple[int, str]],
    wanted: Sequence[Recorded],
    substitutions: Sequence[Substitution],
    entries: int,
) -> Rerun:
    """Ask a process of a notebook to run its cells again (`grader.student.Student.rerun`).

    Raises:
        StudentFault: the process does not respond, or not as it should.
    """
    file = wanted[0].file
    names: dict[str, tuple[str, ...]] = {}
    for record in wanted:
        key = str(record.cell)
        names[key] = tuple(dict.fromkeys((*names.get(key, ()), record.name)))
    request = {
        "operation": "rerun",
        "cells": tuple(cells),
        "wanted": names,
        "substitutions": tuple((tensor_to_array(s.found), tensor_to_array(s.put), s.in_calls) for s in substitutions),
        "entries": entries,
    }
    response = student.ask(request)
    values = _read_values(response, file)
    with reject_malformed():
        returned = tuple(map(_require_tensor, response["returned"][:_MOST_RETURNED]))
        return Rerun(values, returned, int(response["substituted"]))
    raise StudentFault(Fault.MALFORMED, "answered with nothing")


def _read_values(response: Any, file: str) -> tuple[Recorded, ...]:
    with reject_malformed():
        return tuple(
            Recorded(file, int(cell), str(name)[:200], _require_value(value))
            for cell, name, value in response["values"][:_MOST_VALUES]
        )
    raise StudentFault(Fault.MALFORMED, "answered with nothing")


def _require_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _require_tensor(entry) for name, entry in value.items()}
    if isinstance(value, tuple) and all(type(entry) is int for entry in value):
        return value
    return _require_tensor(value)


def _require_tensor(value: Any) -> Tensor:
    if not isinstance(value, Tensor):
        raise TypeError("no tensor")
    return value

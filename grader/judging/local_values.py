"""Values of code that runs in this process, as they would cross the sandbox's border."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

import numpy
import torch
from torch import Tensor, nn

from grader.models import modules
from grader.models.rerun import FILE_PREFIX, RerunCell, Substitution, rerun_cells
from grader.sandbox.protocol.encoding import Failure
from grader.sandbox.protocol.tensors import array_to_tensor, tensor_to_array
from grader.student import Fault, Recorded, Rerun, StudentFault

__all__ = ["copy_tensor", "rerun", "to_small_value"]

_SMALL = 1024  # entries; as in the sandbox


def copy_tensor(value: Tensor) -> Tensor:
    """Return a plain copy of a tensor.

    Raises:
        StudentFault: it has no numbers, or of a dtype that is no plain data.
    """
    try:
        array = tensor_to_array(value)
    except (NotImplementedError, RuntimeError) as error:  # a tensor without numbers
        raise StudentFault(Fault.RAISED, f"raises {type(error).__name__}: {error}", type(error).__name__) from None
    if isinstance(array, Failure):
        raise StudentFault(Fault.MALFORMED, array.message)
    return array_to_tensor(array)


def rerun(
    cells: Sequence[str], wanted: Sequence[Recorded], substitutions: Sequence[Substitution], entries: int
) -> Rerun:
    """Run the first cells of a notebook again with other data; see `Student.rerun` for the arguments.

    Raises:
        StudentFault: there are no cells.
    """
    if not cells:
        raise StudentFault(Fault.MISSING, "the cells cannot be run again here")
    names: dict[int, set[str]] = {}
    for record in wanted:
        names.setdefault(record.cell, set()).add(record.name)
    notes = rerun_cells(
        [RerunCell(number, source, ast.parse(source).body) for number, source in enumerate(cells[: max(names) + 1])],
        {"__name__": "solution"},
        substitutions,
        names,
        read=_pack_small_value,
        is_own=lambda file: file.startswith(FILE_PREFIX),
        entries=entries,
    )
    values = tuple(Recorded(wanted[0].file, cell, name, _decode(value)) for cell, name, value in notes.values)
    return Rerun(values, tuple(map(_decode, notes.returned)), notes.substituted)


def _pack_small_value(value: Any) -> Any:
    """Return a small value as plain data, which can be compared with `==`."""
    value = torch.from_numpy(value.copy()) if isinstance(value, numpy.ndarray) else value
    small = to_small_value(value)
    if isinstance(small, dict):
        return {name: tensor_to_array(entry) for name, entry in small.items()}
    return None if small is None else tensor_to_array(small)


def _decode(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: array_to_tensor(entry) for name, entry in value.items()}
    return array_to_tensor(value)


def to_small_value(value: Any) -> Tensor | dict[str, Tensor] | None:
    """Return a small tensor, or the parameters of a small layer and their gradients. Return None for anything else."""
    try:
        return _read_small(value)
    except StudentFault:  # no plain data
        return None


def _read_small(value: Any) -> Tensor | dict[str, Tensor] | None:
    if isinstance(value, Tensor) and value.numel() <= _SMALL:
        return copy_tensor(value)
    if isinstance(value, nn.Module):
        parameters = {name: copy_tensor(parameter) for name, parameter in modules.find_learnable(value).items()}
        small = sum(parameter.numel() for parameter in parameters.values()) <= _SMALL
        gradients = {f"{name}.grad": copy_tensor(p.grad) for name, p in value.named_parameters() if p.grad is not None}
        return parameters | gradients if parameters and small else None
    return None

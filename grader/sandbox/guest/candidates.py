"""The candidates of a search: models, classes and functions that a notebook bound to global names, as they were bound.

A student's LeNet may be `net = nn.Sequential(...)`, and some cells later `net` is something else. The log keeps what
each name was bound to, so that a search can still try it when the notebook has ended.

It runs in the student's kernel, where nothing can be relied on: what it lists is only tried.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from grader.models import modules
from grader.sandbox.guest.checkpoint import find_names
from grader.sandbox.guest.own_modules import is_own_module

__all__ = ["CandidateLog"]

_MAX_CANDIDATES = 200
_MAX_KEPT_BYTES = 256 * 2**20  # of the parameters of models; larger models are kept without their numbers


@dataclass(frozen=True)
class _Candidate:
    """A name that was bound in a cell.

    `value` is None if the model could not be kept. `functions` are the notebook's own classes and functions at that
    time, by name.
    """

    name: str
    value: Any
    cell: int
    functions: Mapping[str, Any]
    is_kept_whole: bool = True


class CandidateLog:
    """The models, classes and functions that global names were bound to, in order, each with what it could call then.

    Functions and classes are kept with the other functions and classes of that time. Of what a model refers to, nothing
    is kept apart: its layers and the shapes of its parameters do not depend on it.
    """

    def __init__(self) -> None:
        self._seen: dict[str, Any] = {}
        self._functions: dict[str, Any] = {}
        self._candidates: list[_Candidate] = []
        self._kept_bytes = 0

    def look(self, namespace: Mapping[str, Any], cell: int) -> None:
        """Note which names were bound to another candidate since the last look.

        Args:
            namespace: the kernel's.
            cell: the one that ran.
        """
        callables = {name: value for name, value in list(namespace.items()) if callable(value) and name[:1] != "_"}
        changed = [name for name, value in callables.items() if self._seen.get(name) is not value]
        self._seen = callables
        if not changed:
            return
        own = [(name, callables[name]) for name in changed if self._is_own_safely(callables[name])]
        functions = {**self._functions, **{name: value for name, value in own if not isinstance(value, nn.Module)}}
        self._functions = {name: value for name, value in functions.items() if callables.get(name) is value}
        for name, value in own:
            known = isinstance(value, nn.Module) and any(value is candidate.value for candidate in self._candidates)
            if not known and len(self._candidates) < _MAX_CANDIDATES:
                with suppress(Exception):  # whatever a student's object does when it is looked at
                    self._candidates.append(self._keep(name, value, cell))

    def describe(self, namespace: Mapping[str, Any]) -> tuple[tuple[Any, ...], ...]:
        """Return the candidates as plain data.

        Each is its name, cell, number, kind ("module", "class" or "function"), the names of the parameters it requires,
        the name of a model's class, whether it is or builds a model, and whether the notebook's last state still has it
        and all that it could call. The number is None in an entry for the last state.

        Args:
            namespace: the notebook's last state.
        """
        entries: list[tuple[Any, ...]] = []
        for number, candidate in enumerate(self._candidates):
            described = self._describe_value(candidate)
            if described is None:
                continue
            is_there = namespace.get(candidate.name) is candidate.value and candidate.is_kept_whole
            if is_there:
                entries.append((candidate.name, candidate.cell, None, *described))
            if not (is_there and all(namespace.get(n) is value for n, value in candidate.functions.items())):
                entries.append((candidate.name, candidate.cell, number, *described))
        return tuple(entries)

    def restore(self, number: int, namespace: dict[str, Any]) -> None:
        """Bind a candidate in a copy of the kernel's namespace, with the functions and classes of its time."""
        candidate = self._candidates[number]
        namespace.update(candidate.functions)
        namespace[candidate.name] = candidate.value

    def _keep(self, name: str, value: Any, cell: int) -> _Candidate:
        if not isinstance(value, nn.Module):
            return _Candidate(name, value, cell, self._functions)
        size = sum(tensor.numel() * tensor.element_size() for tensor in _list_tensors(value))
        if size and self._kept_bytes + size > _MAX_KEPT_BYTES:
            return _Candidate(name, _copy_without_numbers(value), cell, {}, is_kept_whole=False)
        self._kept_bytes += size
        return _Candidate(name, value, cell, {})

    def _describe_value(self, candidate: _Candidate) -> tuple[str, tuple[str, ...], str, bool] | None:
        value = candidate.value
        if isinstance(value, nn.Module):
            return "module", (), type(value).__name__[:100], True
        if value is None:
            return None
        try:
            required = tuple(name for name, is_required, _ in modules.read_signature(value) if is_required)
        except (TypeError, ValueError):
            return None
        if isinstance(value, type):
            return "class", required, "", issubclass(value, nn.Module)
        return "function", required, "", _builds_modules(value, candidate.functions)

    def _is_own_safely(self, value: Any) -> bool:
        try:
            return self._is_own(value)
        except Exception:  # as above
            return False

    def _is_own(self, value: Any) -> bool:
        """Return whether a callable is the student's own: of the notebook, or of a file beside it."""
        if isinstance(value, functools.partial):
            return self._is_own(value.func)
        if type(value) is nn.Sequential:
            return True
        return is_own_module(modules.find_module_name(value))


def _list_tensors(model: nn.Module) -> list[Tensor]:
    """Return a model's parameters and buffers, without those of lazy layers that never ran."""
    lazy = (nn.parameter.UninitializedParameter, nn.parameter.UninitializedBuffer)
    return [tensor for tensor in (*model.parameters(), *model.buffers()) if not isinstance(tensor, lazy)]


def _copy_without_numbers(model: nn.Module) -> nn.Module | None:
    """Return a copy whose tensors have shapes but no numbers (torch's meta device), or None if it cannot be copied."""
    try:
        known: dict[int, Any] = {}
        for tensor in _list_tensors(model):
            shape = torch.empty_like(tensor, device="meta")
            is_parameter = isinstance(tensor, nn.Parameter)
            known[id(tensor)] = nn.Parameter(shape, tensor.requires_grad) if is_parameter else shape
        return copy.deepcopy(model, known)
    except Exception:  # whatever a student's object does when it is copied
        return None


def _builds_modules(function: Any, functions: Mapping[str, Any]) -> bool:
    """Return whether a function's code names layers of torch or the notebook's own models, and runs no training."""
    while isinstance(function, functools.partial):
        function = function.func
    if not isinstance(function, FunctionType):
        return False
    names = set(find_names(function.__code__))
    own = {name for name, value in functions.items() if isinstance(value, type) and issubclass(value, nn.Module)}
    found = (vars(nn).get(name) for name in names)
    layers = any(isinstance(value, type) and issubclass(value, nn.Module) for value in found)
    return (layers or bool(names & own)) and "backward" not in names

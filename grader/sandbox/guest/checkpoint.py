"""A checkpoint: what the functions of a notebook could see at some point, kept without a process of its own.

A snapshot is a fork of the kernel and takes 20 ms. A checkpoint only keeps names and the objects behind them. Restored
in a fork of the notebook's end, they are the state as it was, except for what cells changed in place afterwards;
`is_exact` tells whether they did.

It runs in the student's kernel, where nothing can be relied on: it decides only what is worth a second run.
"""

from __future__ import annotations

import builtins
import functools
import sys
from collections.abc import Iterable, Iterator, Sequence
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    WrapperDescriptorType,
)  # fmt: skip
from typing import Any

import torch
from torch import Tensor, nn

from grader.sandbox.guest.internals.torch import read_version
from grader.sandbox.guest.own_modules import is_own_module

__all__ = ["Checkpoint", "find_names", "fingerprint"]

_ABSENT = object()
_MAX_OBJECTS = 3000
_IMMUTABLE = (
    *(str, bytes, int, float, complex, range, slice, type(None), type(...), torch.dtype, torch.device),
    *(ModuleType, BuiltinFunctionType, MethodWrapperType, MethodDescriptorType, WrapperDescriptorType),
    *(GetSetDescriptorType, MemberDescriptorType, torch.jit.ScriptFunction),
)
_DYNAMIC = {"eval", "exec", "get_ipython", "globals", "locals", "vars", "__import__"}


class Checkpoint:
    """What the objects behind some names of a namespace can reach now.

    Args:
        names: where to begin.
        namespace: the kernel's.
    """

    def __init__(self, names: Iterable[str], namespace: dict[str, Any]) -> None:
        self._bindings: dict[str, Any] = {}
        self._objects: dict[int, Any] = {}  # kept alive, so that no id is used again
        self._fingerprints: dict[int, Any] = {}
        self._is_complete = True
        self._settings = _read_settings()
        waiting: list[Any] = list(self._look_up(names, namespace))
        while waiting:
            item = waiting.pop()
            if id(item) in self._objects:
                continue
            self._objects[id(item)] = item
            waiting += self._expand(item, namespace)
            if len(self._objects) > _MAX_OBJECTS:
                self._is_complete = False
                break
        self._package_attributes = self._read_packages()

    def is_exact(self) -> bool:
        """Return whether everything is certainly unchanged, apart from what the names are bound to now."""
        return (
            self._is_complete
            and self._settings == _read_settings()
            and all(value is self._package_attributes.get(key) for key, value in self._read_packages().items())
            and all(fingerprint(self._objects[number]) == mark for number, mark in self._fingerprints.items())
        )

    def restore(self, namespace: dict[str, Any]) -> None:
        """Bind the names as they were bound, in the kernel's namespace or a copy of it."""
        for name, value in self._bindings.items():
            if value is _ABSENT:
                namespace.pop(name, None)
            else:
                namespace[name] = value

    def _read_packages(self) -> dict[tuple[int, str], Any]:
        """Return what packages have under each name that was looked up. A cell may have replaced it."""
        holders: list[Any] = [builtins, Tensor, nn.Module]
        holders += [item for item in self._objects.values() if isinstance(item, ModuleType)]
        known, attributes = set(map(id, holders)), {}
        while holders:
            holder = holders.pop()
            for name in self._bindings:
                value = attributes[id(holder), name] = vars(holder).get(name, _ABSENT)
                if isinstance(value, ModuleType) and id(value) not in known:
                    known.add(id(value))
                    holders.append(value)
        return attributes

    def _look_up(self, names: Iterable[str], namespace: dict[str, Any]) -> Iterator[Any]:
        for name in names:
            if name not in self._bindings:
                self._bindings[name] = namespace.get(name, _ABSENT)
                if self._bindings[name] is not _ABSENT:
                    yield self._bindings[name]

    def _expand(self, item: Any, namespace: dict[str, Any]) -> Sequence[Any]:
        """Return what an object leads to, and take its fingerprint if cells can change it in place."""
        if isinstance(item, _IMMUTABLE):
            return ()
        match item:
            case FunctionType():
                return self._expand_function(item, namespace)
            case type():
                if not is_own_module(item.__module__):
                    return ()
                self._is_complete = self._is_complete and item.__module__ == "__main__"
                self._fingerprints[id(item)] = fingerprint(item)
                return [value for kind in _own_classes(item) for value in vars(kind).values()]
            case staticmethod() | classmethod() | MethodType():
                return (item.__func__, getattr(item, "__self__", None))
            case property():
                return (item.fget, item.fset, item.fdel)
            case functools.partial():
                return (item.func, *item.args, *item.keywords.values())
            case tuple() | list() | set() | frozenset():
                self._fingerprints[id(item)] = fingerprint(item)
                return tuple(item)
            case dict():
                self._fingerprints[id(item)] = fingerprint(item)
                return (*item.keys(), *item.values())
            case Tensor() if not item.is_inference():
                self._fingerprints[id(item)] = fingerprint(item)
                return ()
        self._is_complete = False
        return ()

    def _expand_function(self, function: FunctionType, namespace: dict[str, Any]) -> Sequence[Any]:
        if function.__globals__ is not namespace:
            # The globals of a student's own module are not restored, so they must not have changed.
            self._is_complete = self._is_complete and not is_own_module(function.__module__ or "")
            return ()
        names = set(find_names(function.__code__))
        self._is_complete = self._is_complete and not names & _DYNAMIC
        cells = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
        defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
        return [*self._look_up(sorted(names), namespace), *cells, *defaults, *vars(function).values()]


def fingerprint(item: Any) -> Any:
    """Return what changes when a name is rebound, a class patched (`d2l.add_to_class`), or a value changed in place."""
    match item:
        case type():
            own = _own_classes(item)
            return (id(item), item, tuple((name, id(value)) for c in own for name, value in list(vars(c).items())))
        case tuple() | list():
            return tuple(map(id, item))
        case set() | frozenset():
            return frozenset(map(id, item))
        case dict():
            return tuple((id(key), id(value)) for key, value in list(item.items()))
        case Tensor():
            return read_version(item)
    return (id(item), item)


def _own_classes(kind: type) -> list[type]:
    return [c for c in kind.__mro__ if is_own_module(c.__module__)]


def find_names(code: CodeType) -> Iterator[str]:
    """Return the global names that a function's code looks up, and names of attributes, which look the same."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from find_names(constant)


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _read_settings() -> Any:
    """Return the settings that torch's and NumPy's functions depend on."""
    return (
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_grad_enabled(),
        sys.modules["numpy"].geterr() if "numpy" in sys.modules else None,
    )

"""A moment of the student's notebook that costs no process: the names that functions could see then, and their things.

A snapshot is a fork of the kernel, and costs 20 ms. Put back in a fork of the notebook's end, what a moment kept is the
state as it stood, but for what cells changed in place afterwards: `same` tells whether they did.

It runs in the student's kernel, where nothing can be relied on: what it says decides only what is worth a second run.
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

__all__ = ["Checkpoint", "fingerprint"]

_ABSENT = object()
_MOST_THINGS = 3000
_STEADY = (
    *(str, bytes, int, float, complex, range, slice, type(None), type(...), torch.dtype, torch.device),
    *(ModuleType, BuiltinFunctionType, MethodWrapperType, MethodDescriptorType, WrapperDescriptorType),
    *(GetSetDescriptorType, MemberDescriptorType, torch.jit.ScriptFunction),
)
_DYNAMIC = {"eval", "exec", "get_ipython", "globals", "locals", "vars", "__import__"}


class Checkpoint:
    """What the named things could see in a namespace at this moment."""

    def __init__(self, names: Iterable[str], namespace: dict[str, Any]) -> None:
        self._seen: dict[str, Any] = {}
        self._things: dict[int, Any] = {}  # kept, so that no number is given to another thing
        self._marks: dict[int, Any] = {}
        self._certain = True
        self._surroundings = _surroundings()
        waiting: list[Any] = list(self._look_up(names, namespace))
        while waiting:
            thing = waiting.pop()
            if id(thing) in self._things:
                continue
            self._things[id(thing)] = thing
            waiting += self._inside(thing, namespace)
            if len(self._things) > _MOST_THINGS:
                self._certain = False
                break
        self._lent = self._from_packages()

    def same(self) -> bool:
        """Tell whether all that was seen is surely as it was, though other names may stand for it by now."""
        return (
            self._certain
            and self._surroundings == _surroundings()
            and all(thing is self._lent.get(place) for place, thing in self._from_packages().items())
            and all(fingerprint(self._things[number]) == mark for number, mark in self._marks.items())
        )

    def put_back(self, namespace: dict[str, Any]) -> None:
        """Bind the names as they were bound, in a namespace that this moment was taken of."""
        for name, thing in self._seen.items():
            if thing is _ABSENT:
                namespace.pop(name, None)
            else:
                namespace[name] = thing

    def _from_packages(self) -> dict[tuple[int, str], Any]:
        """Return what packages have under each name that was looked up: a cell may have put something else there."""
        holders: list[Any] = [builtins, Tensor, nn.Module]
        holders += [thing for thing in self._things.values() if isinstance(thing, ModuleType)]
        known, found = set(map(id, holders)), {}
        while holders:
            holder = holders.pop()
            for name in self._seen:
                value = found[id(holder), name] = vars(holder).get(name, _ABSENT)
                if isinstance(value, ModuleType) and id(value) not in known:
                    known.add(id(value))
                    holders.append(value)
        return found

    def _look_up(self, names: Iterable[str], namespace: dict[str, Any]) -> Iterator[Any]:
        for name in names:
            if name not in self._seen:
                self._seen[name] = namespace.get(name, _ABSENT)
                if self._seen[name] is not _ABSENT:
                    yield self._seen[name]

    def _inside(self, thing: Any, namespace: dict[str, Any]) -> Sequence[Any]:
        """Return what a thing leads to, and mark what cells can change in place."""
        if isinstance(thing, _STEADY):
            return ()
        match thing:
            case FunctionType():
                return self._inside_function(thing, namespace)
            case type():
                if thing.__module__ != "__main__":
                    return ()
                self._marks[id(thing)] = fingerprint(thing)
                return [value for own in _own_classes(thing) for value in vars(own).values()]
            case staticmethod() | classmethod() | MethodType():
                return (thing.__func__, getattr(thing, "__self__", None))
            case property():
                return (thing.fget, thing.fset, thing.fdel)
            case functools.partial():
                return (thing.func, *thing.args, *thing.keywords.values())
            case tuple() | list() | set() | frozenset():
                self._marks[id(thing)] = fingerprint(thing)
                return tuple(thing)
            case dict():
                self._marks[id(thing)] = fingerprint(thing)
                return (*thing.keys(), *thing.values())
            case Tensor() if not thing.is_inference():
                self._marks[id(thing)] = fingerprint(thing)
                return ()
        self._certain = False
        return ()

    def _inside_function(self, function: FunctionType, namespace: dict[str, Any]) -> Sequence[Any]:
        if function.__globals__ is not namespace:
            return ()  # a package's, or that of a module which was written to a file
        names = set(_names_in(function.__code__))
        self._certain = self._certain and not names & _DYNAMIC
        cells = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
        given = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
        return [*self._look_up(sorted(names), namespace), *cells, *given, *vars(function).values()]


def fingerprint(thing: Any) -> Any:
    """Return what changes when a name is rebound, a class patched (`d2l.add_to_class`), or a value changed in place."""
    match thing:
        case type():
            own = _own_classes(thing)
            return (id(thing), thing, tuple((name, id(value)) for c in own for name, value in list(vars(c).items())))
        case tuple() | list():
            return tuple(map(id, thing))
        case set() | frozenset():
            return frozenset(map(id, thing))
        case dict():
            return tuple((id(key), id(value)) for key, value in list(thing.items()))
        case Tensor():
            return thing._version
    return (id(thing), thing)


def _own_classes(kind: type) -> list[type]:
    return [c for c in kind.__mro__ if c.__module__ == "__main__"]


def _names_in(code: CodeType) -> Iterator[str]:
    """Return the global names that a function's code looks up, and those of attributes, which look the same."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _surroundings() -> Any:
    """Return the settings that torch's and NumPy's functions look at."""
    return (
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_grad_enabled(),
        sys.modules["numpy"].geterr() if "numpy" in sys.modules else None,
    )

"""Typed messages between two processes: frozen dataclasses as plain values for a Channel or Packets, and back.

Both ends of a line import the same dataclasses. A field is a bool, int, float, str, bytes, Path, Array, Enum or
Literal, another dataclass, a tuple of one of these (`tuple[X, ...]`), or one of these or None.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import Enum
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from grader.sandbox.protocol.encoding import Array, Malformed

__all__ = ["pack_message", "unpack_message"]

_Message = TypeVar("_Message")


def pack_message(message: Any) -> tuple[str, dict[str, Any]]:
    """Return a message as plain data: the name of its class, and its fields by name."""
    return type(message).__name__, _pack_fields(message)


def unpack_message(value: Any, *kinds: type[_Message]) -> _Message:
    """Return the message that `pack_message` turned into `value`.

    Args:
        value: plain data, as it arrived.
        kinds: the dataclasses that are expected here.

    Raises:
        Malformed: `value` is none of these messages, or a field is missing, unknown or of another type.
    """
    if not (isinstance(value, tuple) and len(value) == 2):
        raise Malformed("the value is not a message")
    name, fields = value
    for kind in kinds:
        if kind.__name__ == name:
            message: _Message = _unpack_fields(fields, kind)
            return message
    raise Malformed(f"expected {' or '.join(kind.__name__ for kind in kinds)}, not {name!r:.100}")


def _pack_fields(message: Any) -> dict[str, Any]:
    kind: type = type(message)
    return {name: _pack(getattr(message, name)) for name in _types_of_fields(kind)}


def _pack(value: Any) -> Any:
    if isinstance(value, Array):
        return value
    if isinstance(value, bytes):
        return Array("uint8", (len(value),), value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return tuple(_pack(item) for item in value)
    if dataclasses.is_dataclass(value):
        return _pack_fields(value)
    return value


def _unpack_fields(fields: Any, kind: type) -> Any:
    types = _types_of_fields(kind)
    if not isinstance(fields, Mapping) or fields.keys() != types.keys():
        raise Malformed(f"{kind.__name__} needs exactly the fields {', '.join(types) or '(none)'}")
    return kind(**{name: _unpack(fields[name], types[name], f"{kind.__name__}.{name}") for name in types})


def _unpack(value: Any, declared: Any, place: str) -> Any:
    """Return the value of a field whose type is `declared`; `place` names the field in messages."""
    if declared is Array and isinstance(value, Array):
        return value
    if dataclasses.is_dataclass(declared):
        assert isinstance(declared, type)
        return _unpack_fields(value, declared)
    if declared in (bool, int, str) and type(value) is declared:
        return value
    if declared is float and type(value) in (int, float):
        return float(value)
    if declared is Path and type(value) is str:
        return Path(value)
    if declared is bytes and isinstance(value, Array) and value.dtype == "uint8":
        return value.data
    if get_origin(declared) in (Union, UnionType):
        return None if value is None else _unpack(value, _without_none(declared), place)
    if get_origin(declared) is tuple and isinstance(value, tuple):
        return tuple(_unpack(item, get_args(declared)[0], place) for item in value)
    if value in _choices(declared):
        return declared(value) if isinstance(declared, type) else value
    raise Malformed(f"{place} cannot be this {type(value).__name__}")


def _without_none(declared: Any) -> Any:
    (kind,) = (kind for kind in get_args(declared) if kind is not NoneType)
    return kind


def _choices(declared: Any) -> tuple[Any, ...]:
    """Return the values that an Enum or a Literal has, none for other types."""
    if isinstance(declared, type) and issubclass(declared, Enum):
        return tuple(member.value for member in declared)
    return get_args(declared) if get_origin(declared) is Literal else ()


@cache
def _types_of_fields(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}

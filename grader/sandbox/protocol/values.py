"""Python's own values as plain data and back, for tests that were written to run in the student's own process.

Our own rubrics see only tensors and tuples, whatever a student returns. Here a list stays a list, a set stays a set,
and a NumPy array stays one. Other objects are replaced by a function of the caller. This code runs on both sides.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy
import torch

from grader.sandbox.protocol.encoding import Array
from grader.sandbox.protocol.tensors import array_to_tensor, tensor_to_array

__all__ = ["pack_value", "unpack_value"]

_MAX_ENTRIES = 10_000
_MAX_TEXTS = 8 * 2**20  # characters of an array of texts, each as long as its longest
_MAX_DEPTH = 12
_SCALARS = (bool, float, str, type(None))
_VIEWS: Mapping[str, type] = {"keys": type({}.keys()), "values": type({}.values()), "items": type({}.items())}
_ITERATORS: tuple[type, ...] = (
    types.GeneratorType,
    map,
    filter,
    zip,
    enumerate,
    reversed,
    type(iter([])),
    type(reversed([])),
)
_NAMES = {
    "bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64", "complex64", "complex128",
}  # fmt: skip
_UNSIGNED = ("uint16", "uint32", "uint64")  # dtypes of NumPy that the encoding does not have


def pack_value(thing: Any, keep: Callable[[Any], Any], depth: int = 0) -> Any:
    """Return a value as plain data.

    Args:
        thing: any object.
        keep: returns the data for an object that is no value, or too large or too deeply nested.
        depth: how deeply the value is nested.
    """
    if type(thing) in _SCALARS or (type(thing) is int and thing.bit_length() < 2000):
        return thing
    if isinstance(thing, torch.Tensor):
        array = tensor_to_array(thing)
        return ("tensor", array) if isinstance(array, Array) else keep(thing)
    if isinstance(thing, numpy.ndarray | numpy.generic):
        return _pack_array(thing, keep)
    if isinstance(thing, str | float) or (isinstance(thing, int) and not isinstance(thing, bool)):
        return pack_value(_strip_subclass(thing), keep, depth)
    if thing is Ellipsis:
        return ("ellipsis",)
    if isinstance(thing, bytes | bytearray) and len(thing) <= _MAX_ENTRIES:
        return ("bytes", *thing)
    if isinstance(thing, complex):
        return ("complex", thing.real, thing.imag)
    if isinstance(thing, range):
        return ("range", thing.start, thing.stop, thing.step)
    parts = _split(thing) if depth < _MAX_DEPTH else None
    if parts is None or len(parts[1]) > _MAX_ENTRIES:
        return keep(thing)
    return (parts[0], *(pack_value(entry, keep, depth + 1) for entry in parts[1]))


def _strip_subclass(thing: Any) -> Any:
    """Return the number or text of a subclass's instance as one of Python's own type."""
    kind = str if isinstance(thing, str) else float if isinstance(thing, float) else int
    plain: Any = kind.__str__(thing) if kind is str else kind.__pos__(thing)  # type: ignore[operator]
    return plain


def _split(thing: Any) -> tuple[str, list[Any]] | None:
    """Return the tag and the entries of a collection, or None if the object is not one."""
    entries: Any = thing
    for name, kind in _VIEWS.items():
        if isinstance(thing, kind):
            return name, list(entries)
    if isinstance(thing, Mapping):
        return "dict", list(islice(thing.items(), _MAX_ENTRIES + 1))
    for collection in (list, tuple, set, frozenset):
        if isinstance(thing, collection):
            return collection.__name__, list(thing)
    if isinstance(thing, _ITERATORS):
        return "iterator", list(islice(entries, _MAX_ENTRIES + 1))
    return None


def _pack_array(thing: Any, keep: Callable[[Any], Any]) -> Any:
    array = numpy.array(thing, order="C", copy=True)
    if array.dtype.kind in "US" and array.size <= _MAX_ENTRIES:
        entries = tuple(array.astype(str).ravel().tolist())
        return ("texts", array.dtype.kind, isinstance(thing, numpy.generic), array.shape, entries)
    name = array.dtype.name
    array = array.astype("int64" if name in _UNSIGNED else array.dtype.newbyteorder("="))
    if array.dtype.kind not in "biufc" or array.dtype.name not in _NAMES:
        return keep(thing)
    data = Array(array.dtype.name, array.shape, array.tobytes())
    return ("number" if isinstance(thing, numpy.generic) else "array", data, name)


def unpack_value(data: Any, restore: Callable[[Any], Any]) -> Any:
    """Return the value that `pack_value` packed.

    Args:
        data: the packed value.
        restore: returns the object for data that `keep` made.

    Raises:
        ValueError, TypeError: the data is not in the form that `pack_value` makes.
    """
    if type(data) in _SCALARS or type(data) is int:
        return data
    if not isinstance(data, tuple):
        return restore(data)
    tag, *rest = data
    if len(rest) > _MAX_ENTRIES:  # a large set of numbers that share a hash would take minutes
        raise ValueError("too many entries")
    match tag:
        case "tensor":
            return _unpack_tensor(rest[0])
        case "array" | "number":
            return _unpack_array(tag, *rest)
        case "texts":
            kind, scalar, shape, entries = rest
            if len(entries) > _MAX_ENTRIES or len(entries) * max(map(len, entries), default=0) > _MAX_TEXTS:
                raise ValueError("an array of texts that is too large")
            array = numpy.array(entries, dtype=str).astype("U" if kind == "U" else "S").reshape(shape)
            return array[()] if scalar is True else array
        case "ellipsis":
            return ...
        case "bytes" | "complex" | "range":
            return bytes(rest) if tag == "bytes" else complex(*rest) if tag == "complex" else range(*rest)
    return _make_collection(tag, [unpack_value(entry, restore) for entry in rest])


def _make_collection(tag: Any, entries: list[Any]) -> Any:
    match tag:
        case "list":
            return entries
        case "tuple":
            return tuple(entries)
        case "set":
            return set(entries)
        case "frozenset":
            return frozenset(entries)
        case "iterator":
            return _generate(entries)
        case "dict":
            return dict(entries)
        case "keys":
            return dict.fromkeys(entries).keys()
        case "values":
            return dict(enumerate(entries)).values()
        case "items":
            return dict(entries).items()
    raise ValueError("an unknown kind of value")


def _generate(entries: list[Any]) -> Iterator[Any]:
    yield from entries


def _unpack_tensor(data: Any) -> torch.Tensor:
    return data if isinstance(data, torch.Tensor) else array_to_tensor(data)


def _unpack_array(tag: str, data: Any, name: Any) -> Any:
    if name not in _NAMES and name not in _UNSIGNED:
        raise ValueError("an array of an unknown type")
    array = _unpack_tensor(data).numpy().astype(name)
    return array[()] if tag == "number" else array

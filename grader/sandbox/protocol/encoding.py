"""The encoding of plain data that crosses between the sandbox and the trusted side.

A frame is a four-byte length and one encoded value. A value is a tag byte and its body: None, booleans, integers,
floats, strings, tuples, dicts with string keys, arrays (dtype from an allow-list, shape, raw bytes), handles (a number
that stands for an object of the other side) and failures (a named error and its details). Decoding never executes or
imports anything, and allocates nothing before a length has been checked against the bytes that are there.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

__all__ = [
    "ITEM_BYTES",
    "MAX_ANSWER_BYTES",
    "MAX_FRAME_BYTES",
    "Array",
    "Closed",
    "Failure",
    "Handle",
    "Malformed",
    "decode",
    "encode",
]

ITEM_BYTES = {
    "bool": 1, "uint8": 1, "int8": 1, "int16": 2, "int32": 4, "int64": 8,
    "float16": 2, "bfloat16": 2, "float32": 4, "float64": 8, "complex64": 8, "complex128": 16,
}  # fmt: skip
_DTYPES = list(ITEM_BYTES)
_CODES = {name: code for code, name in enumerate(_DTYPES)}
_COUNT, _COUNTED, _FLOAT = struct.Struct(">I"), struct.Struct(">cI"), struct.Struct(">d")
_MAX_DIMENSIONS = 16
_MAX_NODES = 100_000
_MAX_DEPTH = 32
_MAX_INTEGER_BYTES = 255
_MAX_LABEL = 16_000  # bytes of a name or of an error's message
MAX_FRAME_BYTES = 64 * 2**20
MAX_ANSWER_BYTES = 8 * 2**20  # of a frame from a student's process; text may take eight times as much once decoded


class Malformed(Exception):
    """The bytes are not a valid frame, which is the sender's fault."""


class Closed(Exception):
    """The other side has hung up."""


@dataclass(frozen=True)
class Array:
    """A dense array in row-major order. `data` has exactly the bytes that dtype and shape require."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes


@dataclass(frozen=True)
class Handle:
    """A number that stands for an object which stays on the other side, with the object's kind and type."""

    number: int
    kind: str
    type_name: str


@dataclass(frozen=True)
class Failure:
    """A named error in place of a value, with plain data on where and how it came about, or None."""

    name: str
    message: str
    details: Any = None


def encode(value: Any) -> bytes:
    """Return the bytes of one value.

    Raises:
        TypeError: the value is not plain data.
    """
    out = bytearray()
    _encode(value, out, 0)
    return bytes(out)


def _encode(value: Any, out: bytearray, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise TypeError("the value is nested too deeply")
    kind = type(value)
    if kind is str:
        out += b"s"
        _encode_text(value, out)
    elif kind is tuple or kind is list:
        out += _COUNTED.pack(b"(", len(value))
        for entry in value:
            _encode(entry, out, depth + 1)
    elif kind is Array:
        shape, data = value.shape, value.data
        out += _make_array_head(len(shape)).pack(b"a", _CODES[value.dtype], len(shape), *shape, len(data))
        out += data
    elif kind is Handle:
        out += _COUNTED.pack(b"h", value.number)
        _encode_text(value.kind, out)
        _encode_text(value.type_name, out)
    elif value is None:
        out += b"N"
    elif kind is bool:
        out += b"T" if value else b"F"
    elif kind is int:
        body = value.to_bytes((value.bit_length() + 8) // 8, "big", signed=True)
        if len(body) > _MAX_INTEGER_BYTES:
            raise TypeError("the integer is too large")
        out += b"i" + bytes([len(body)]) + body
    elif kind is float:
        out += b"f" + _FLOAT.pack(value)
    elif kind is Failure:
        out += b"!"
        _encode_text(value.name, out)
        _encode_text(value.message, out)
        _encode(value.details, out, depth + 1)
    elif isinstance(value, Mapping):
        out += _COUNTED.pack(b"{", len(value))
        for key, entry in value.items():
            if type(key) is not str:
                raise TypeError("a dict's keys must be strings")
            _encode_text(key, out)
            _encode(entry, out, depth + 1)
    else:
        raise TypeError(f"{kind.__name__} is not plain data")


def _encode_text(text: str, out: bytearray) -> None:
    body = text.encode("utf-8", "surrogatepass")
    out += _COUNT.pack(len(body))
    out += body


@cache
def _make_array_head(dimensions: int) -> struct.Struct:
    """Return the struct for an array's tag, dtype, number of dimensions, shape and length."""
    return struct.Struct(f">cBB{dimensions + 1}Q")


def decode(frame: bytes) -> Any:
    """Return the value of one frame. Lists come back as tuples.

    Raises:
        Malformed: the frame is not exactly one value: wrong tags, lengths past the end, unknown dtypes, shapes that do
            not match their bytes, more than 100,000 nodes or 32 levels, bytes left over.
    """
    reader = _Reader(frame)
    try:
        value = reader.value(0)
    except (IndexError, struct.error):  # both come from reading past the end
        raise Malformed("a length points past the end") from None
    if reader.position != len(frame):
        raise Malformed("bytes follow the value")
    return value


class _Reader:
    def __init__(self, frame: bytes) -> None:
        self.frame = frame
        self.position = 0
        self.nodes = 0

    def value(self, depth: int) -> Any:
        self.nodes += 1
        if self.nodes > _MAX_NODES or depth > _MAX_DEPTH:
            raise Malformed("too many or too deeply nested values")
        tag = self.frame[self.position]
        self.position += 1
        read = _READERS.get(tag)
        if read is None:
            raise Malformed(f"unknown tag {bytes([tag])!r}")
        return read(self, depth)

    def take(self, count: int) -> bytes:
        start, self.position = self.position, self.position + count
        if self.position > len(self.frame):
            raise Malformed("a length points past the end")
        return self.frame[start : self.position]

    def number(self) -> int:
        number: int = _COUNT.unpack_from(self.frame, self.position)[0]
        self.position += 4
        return number

    def text(self, depth: int = 0) -> str:
        try:
            return self.take(self.number()).decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            raise Malformed("text that is no UTF-8") from None

    def integer(self, depth: int) -> int:
        length = self.frame[self.position]
        self.position += 1
        # One less than the limit for encoding, because the same number may need one byte more when it is encoded again.
        if length >= _MAX_INTEGER_BYTES:
            raise Malformed("an integer that is too large")
        return int.from_bytes(self.take(length), "big", signed=True)

    def real(self, depth: int) -> float:
        number: float = _FLOAT.unpack(self.take(8))[0]
        return number

    def count(self, least_bytes_each: int) -> int:
        count = self.number()
        if count * least_bytes_each > len(self.frame) - self.position:
            raise Malformed("more entries than bytes")
        return count

    def sequence(self, depth: int) -> tuple[Any, ...]:
        return tuple([self.value(depth + 1) for _ in range(self.count(1))])

    def mapping(self, depth: int) -> dict[str, Any]:
        return {self.text(): self.value(depth + 1) for _ in range(self.count(5))}

    def label(self) -> str:
        start = self.position
        text = self.text()
        if self.position - start > _MAX_LABEL:
            raise Malformed("a name or a message that is too long")
        return text

    def handle(self, depth: int) -> Handle:
        return Handle(self.number(), self.label(), self.label())

    def failure(self, depth: int) -> Failure:
        return Failure(self.label(), self.label(), self.value(depth + 1))

    def array(self, depth: int) -> Array:
        code, dimensions = self.frame[self.position], self.frame[self.position + 1]
        if code >= len(_DTYPES) or dimensions > _MAX_DIMENSIONS:
            raise Malformed("unknown dtype or too many dimensions")
        head = _make_array_head(dimensions)
        _, _, _, *shape, length = head.unpack_from(self.frame, self.position - 1)
        self.position += head.size - 1
        size = ITEM_BYTES[_DTYPES[code]]
        if math.prod(shape) * size != length:
            raise Malformed("an array's shape and bytes disagree")
        # A shape such as (0, 2**60) needs no memory, but its strides overflow.
        if not length and math.prod(max(n, 1) for n in shape) * size > MAX_FRAME_BYTES:
            raise Malformed("an empty array of a shape that no array has")
        return Array(_DTYPES[code], tuple(shape), self.take(length))


_READERS: dict[int, Callable[[_Reader, int], Any]] = {
    ord("N"): lambda reader, depth: None,
    ord("T"): lambda reader, depth: True,
    ord("F"): lambda reader, depth: False,
    ord("i"): _Reader.integer,
    ord("f"): _Reader.real,
    ord("s"): _Reader.text,
    ord("("): _Reader.sequence,
    ord("{"): _Reader.mapping,
    ord("a"): _Reader.array,
    ord("h"): _Reader.handle,
    ord("!"): _Reader.failure,
}

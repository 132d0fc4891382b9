"""What may cross between the sandbox and the trusted side: plain data in length-checked frames.

A frame is a four-byte length and one encoded value. A value is a tag byte and its body: None, booleans, integers,
floats, strings, tuples, dicts with string keys, arrays (dtype from an allow-list, shape, raw bytes), handles (a number
that stands for an object of the other side) and failures (a named error). Nothing in a frame is ever executed,
imported or allocated before its length has been checked against the bytes that are there.
"""

from __future__ import annotations

import math
import os
import socket
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["ITEM_BYTES", "Array", "Channel", "Closed", "Failure", "Handle", "Malformed", "Packets", "decode", "encode"]

ITEM_BYTES = {
    "bool": 1, "uint8": 1, "int8": 1, "int16": 2, "int32": 4, "int64": 8,
    "float16": 2, "bfloat16": 2, "float32": 4, "float64": 8, "complex64": 8, "complex128": 16,
}  # fmt: skip
_DTYPES = list(ITEM_BYTES)
_MAX_DIMENSIONS = 16
_MAX_NODES = 100_000
_MAX_DEPTH = 32
_MAX_INTEGER_BYTES = 255
MAX_FRAME_BYTES = 64 * 2**20


class Malformed(Exception):
    """The bytes are no frame of ours; whoever sent them is at fault."""


class Closed(Exception):
    """The other side is gone."""


@dataclass(frozen=True)
class Array:
    """A dense array in row-major order; `data` has exactly the bytes that dtype and shape ask for."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes


@dataclass(frozen=True)
class Handle:
    """A number that stands for an object which stays on the other side, with what it is called there."""

    number: int
    kind: str
    type_name: str


@dataclass(frozen=True)
class Failure:
    """A named error in place of a value."""

    name: str
    message: str


def encode(value: Any) -> bytes:
    """Return the bytes of one value.

    Raises TypeError for anything that is not plain data.
    """
    out = bytearray()
    _encode(value, out, 0)
    return bytes(out)


def _encode(value: Any, out: bytearray, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise TypeError("the value is nested too deeply")
    kind = type(value)
    if value is None:
        out += b"N"
    elif kind is bool:
        out += b"T" if value else b"F"
    elif kind is int:
        body = value.to_bytes((value.bit_length() + 8) // 8, "big", signed=True)
        if len(body) > _MAX_INTEGER_BYTES:
            raise TypeError("the integer is too large")
        out += b"i" + bytes([len(body)]) + body
    elif kind is float:
        out += b"f" + struct.pack(">d", value)
    elif kind is str:
        _encode_text(b"s", value, out)
    elif kind in (tuple, list):
        out += b"(" + struct.pack(">I", len(value))
        for entry in value:
            _encode(entry, out, depth + 1)
    elif isinstance(value, Mapping):
        out += b"{" + struct.pack(">I", len(value))
        for key, entry in value.items():
            if type(key) is not str:
                raise TypeError("a dict's keys must be strings")
            _encode_text(b"", key, out)
            _encode(entry, out, depth + 1)
    elif kind is Array:
        _encode_array(value, out)
    elif kind is Handle:
        out += b"h" + struct.pack(">I", value.number)
        _encode_text(b"", value.kind, out)
        _encode_text(b"", value.type_name, out)
    elif kind is Failure:
        out += b"!"
        _encode_text(b"", value.name, out)
        _encode_text(b"", value.message, out)
    else:
        raise TypeError(f"{kind.__name__} is not plain data")


def _encode_text(tag: bytes, text: str, out: bytearray) -> None:
    body = text.encode("utf-8", "surrogatepass")
    out += tag + struct.pack(">I", len(body)) + body


def _encode_array(array: Array, out: bytearray) -> None:
    out += b"a" + bytes([_DTYPES.index(array.dtype), len(array.shape)])
    out += struct.pack(f">{len(array.shape)}Q", *array.shape)
    out += struct.pack(">Q", len(array.data)) + array.data


def decode(frame: bytes) -> Any:
    """Return the value of one frame; lists come back as tuples.

    Raises Malformed for anything else than one whole value: wrong tags, lengths past the end, unknown dtypes, shapes
    that do not match their bytes, more than 100,000 nodes or 32 levels, bytes left over.
    """
    reader = _Reader(frame)
    value = reader.value(0)
    if reader.at != len(frame):
        raise Malformed("bytes follow the value")
    return value


class _Reader:
    def __init__(self, frame: bytes) -> None:
        self.frame = frame
        self.at = 0
        self.nodes = 0

    def take(self, count: int) -> bytes:
        if count > len(self.frame) - self.at:
            raise Malformed("a length points past the end")
        taken = self.frame[self.at : self.at + count]
        self.at += count
        return taken

    def number(self, form: str) -> int:
        (number,) = struct.unpack(form, self.take(struct.calcsize(form)))
        return int(number)

    def text(self) -> str:
        try:
            return self.take(self.number(">I")).decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            raise Malformed("text that is no UTF-8") from None

    def value(self, depth: int) -> Any:
        self.nodes += 1
        if self.nodes > _MAX_NODES or depth > _MAX_DEPTH:
            raise Malformed("too many or too deeply nested values")
        tag = self.take(1)
        match tag:
            case b"N":
                return None
            case b"T" | b"F":
                return tag == b"T"
            case b"i":
                return self.integer()
            case b"f":
                return struct.unpack(">d", self.take(8))[0]
            case b"s":
                return self.text()
            case b"(":
                return tuple(self.value(depth + 1) for _ in range(self.count(1)))
            case b"{":
                return {self.text(): self.value(depth + 1) for _ in range(self.count(5))}
            case b"a":
                return self.array()
            case b"h":
                return Handle(self.number(">I"), self.text(), self.text())
            case b"!":
                return Failure(self.text(), self.text())
        raise Malformed(f"unknown tag {tag!r}")

    def integer(self) -> int:
        length = self.number(">B")
        # One less than what is written, because the same number may need a byte more to be written again.
        if length >= _MAX_INTEGER_BYTES:
            raise Malformed("an integer that is too large")
        return int.from_bytes(self.take(length), "big", signed=True)

    def count(self, least_bytes_each: int) -> int:
        count = self.number(">I")
        if count * least_bytes_each > len(self.frame) - self.at:
            raise Malformed("more entries than bytes")
        return count

    def array(self) -> Array:
        code, dimensions = self.number(">B"), self.number(">B")
        if code >= len(_DTYPES) or dimensions > _MAX_DIMENSIONS:
            raise Malformed("unknown dtype or too many dimensions")
        shape = tuple(self.number(">Q") for _ in range(dimensions))
        length = self.number(">Q")
        size = ITEM_BYTES[_DTYPES[code]]
        if math.prod(shape) * size != length:
            raise Malformed("an array's shape and bytes disagree")
        # Nothing has to be allocated for (0, 2**60), but its strides overflow all the same.
        if math.prod(max(n, 1) for n in shape) * size > MAX_FRAME_BYTES:
            raise Malformed("an empty array of a shape that no array has")
        return Array(_DTYPES[code], shape, self.take(length))


class Channel:
    """Frames over a connected stream socket, with a bound on size and on time."""

    def __init__(self, connection: socket.socket, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self.socket = connection
        self.max_frame_bytes = max_frame_bytes

    def send(self, value: Any, seconds: float | None = None) -> None:
        """Send one value.

        Raises Closed where nobody listens any more, TimeoutError where nobody reads within the time.
        """
        body = encode(value)
        if len(body) > self.max_frame_bytes:
            raise TypeError(f"the value takes {len(body)} bytes, more than {self.max_frame_bytes}")
        try:
            self.socket.settimeout(seconds)
            self.socket.sendall(struct.pack(">I", len(body)) + body)
        except TimeoutError:
            raise
        except OSError as error:
            raise Closed(str(error)) from None

    def receive(self, seconds: float | None = None) -> Any:
        """Return the next value.

        Raises Closed at the end, TimeoutError when it is not there within the time, Malformed for anything else.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        (length,) = struct.unpack(">I", self._exactly(4, deadline))
        if length > self.max_frame_bytes:
            raise Malformed(f"a frame of {length} bytes, more than {self.max_frame_bytes}")
        return decode(self._exactly(length, deadline))

    def _exactly(self, count: int, deadline: float | None) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            remaining = None if deadline is None else deadline - time.monotonic()
            if remaining is not None and remaining <= 0:
                raise TimeoutError("no answer in time")
            try:
                self.socket.settimeout(remaining)
                part = self.socket.recv(min(count - len(parts), 2**20))
            except TimeoutError:
                raise
            except OSError as error:
                raise Closed(str(error)) from None
            if not part:
                raise Closed("the other side is gone")
            parts += part
        return bytes(parts)

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


class Packets:
    """Small values with file descriptors over a connected SOCK_SEQPACKET socket: the control lines of the sandbox."""

    MAX_BYTES = 128 * 1024
    MAX_DESCRIPTORS = 4

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection

    @classmethod
    def pair(cls) -> tuple[Packets, socket.socket]:
        """Return our end, and the socket to hand to the other side."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(ours), theirs

    def send(self, value: Any, descriptors: tuple[int, ...] = (), seconds: float | None = 30) -> None:
        """Send one value; raises Closed where nobody listens any more, TimeoutError where nobody reads in time."""
        body = encode(value)
        if len(body) > self.MAX_BYTES:
            raise TypeError(f"the value takes {len(body)} bytes, more than {self.MAX_BYTES}")
        try:
            self.socket.settimeout(seconds)
            socket.send_fds(self.socket, [body], list(descriptors))
        except TimeoutError:
            raise
        except OSError as error:
            raise Closed(str(error)) from None

    def receive(self, seconds: float | None = None) -> tuple[Any, list[int]]:
        """Return the next value and the descriptors that came with it; the caller closes them.

        Raises Closed at the end, TimeoutError when nothing is there within the time, Malformed for anything else.
        """
        try:
            self.socket.settimeout(seconds)
            body, descriptors, flags, _ = socket.recv_fds(self.socket, self.MAX_BYTES, self.MAX_DESCRIPTORS)
        except TimeoutError:
            raise
        except OSError as error:
            raise Closed(str(error)) from None
        try:
            if not body:
                raise Closed("the other side is gone")
            if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
                raise Malformed("a packet that is too large")
            return decode(body), descriptors
        except (Closed, Malformed):
            for descriptor in descriptors:
                os.close(descriptor)
            raise

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

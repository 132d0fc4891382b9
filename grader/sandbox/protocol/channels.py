"""Channels: frames over sockets, with bounds on size and on time."""

from __future__ import annotations

import os
import socket
import struct
import time
from typing import Any

from grader.sandbox.protocol.encoding import MAX_FRAME_BYTES, Closed, Malformed, decode, encode

__all__ = ["Channel", "Packets"]

_LENGTH = struct.Struct(">I")


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
            self.socket.sendall(_LENGTH.pack(len(body)) + body)
        except TimeoutError:
            raise
        except OSError as error:
            raise Closed(str(error)) from None

    def receive(self, seconds: float | None = None) -> Any:
        """Return the next value.

        Raises Closed at the end, TimeoutError when it is not there within the time, Malformed for anything else.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        (length,) = _LENGTH.unpack(self._exactly(4, deadline))
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
            if len(part) == count:  # as nearly always: nothing to put together
                return part
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

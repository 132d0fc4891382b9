"""Channels that carry values as frames over sockets, with limits on size and time."""

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
    """Frames over a connected stream socket, with limits on size and time.

    Args:
        connection: the socket.
        max_sent_bytes: the size of the largest frame that may be sent.
        max_received_bytes: the size of the largest frame that is accepted.
    """

    def __init__(
        self,
        connection: socket.socket,
        max_sent_bytes: int = MAX_FRAME_BYTES,
        max_received_bytes: int = MAX_FRAME_BYTES,
    ) -> None:
        self.socket = connection
        self.max_sent_bytes = max_sent_bytes
        self.max_received_bytes = max_received_bytes

    def send(self, value: Any, seconds: float | None = None) -> None:
        """Send one value.

        Raises:
            TypeError: the value is too large or is not plain data.
            Closed: the other side has hung up.
            TimeoutError: the other side does not read within `seconds`.
        """
        body = encode(value)
        if len(body) > self.max_sent_bytes:
            raise TypeError(f"the value takes {len(body):,} bytes, more than {self.max_sent_bytes:,}")
        try:
            self.socket.settimeout(seconds)
            self.socket.sendall(_LENGTH.pack(len(body)) + body)
        except TimeoutError:
            raise
        except OSError as error:
            raise Closed(str(error)) from None

    def receive(self, seconds: float | None = None) -> Any:
        """Return the next value.

        Raises:
            Closed: the other side has hung up.
            TimeoutError: the value does not arrive within `seconds`.
            Malformed: what arrives is no frame.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        (length,) = _LENGTH.unpack(self._receive_exactly(4, deadline))
        if length > self.max_received_bytes:
            raise Malformed(f"a frame of {length:,} bytes, more than {self.max_received_bytes:,}")
        return decode(self._receive_exactly(length, deadline))

    def _receive_exactly(self, count: int, deadline: float | None) -> bytes:
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
            if len(part) == count:  # nearly always: there is nothing to join
                return part
            parts += part
        return bytes(parts)

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


class Packets:
    """Small values and file descriptors over a connected SOCK_SEQPACKET socket: the control lines of the sandbox."""

    MAX_BYTES = 128 * 1024
    MAX_DESCRIPTORS = 4

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection

    @classmethod
    def pair(cls) -> tuple[Packets, socket.socket]:
        """Return our end, and the socket for the other side."""
        ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(ours), peer

    def send(self, value: Any, descriptors: tuple[int, ...] = (), seconds: float | None = 30) -> None:
        """Send one value, and copies of file descriptors.

        Raises:
            TypeError: the value is too large or is not plain data.
            Closed: the other side has hung up.
            TimeoutError: the other side does not read within `seconds`.
        """
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
        """Return the next value and the descriptors that came with it. The caller closes the descriptors.

        Raises:
            Closed: the other side has hung up.
            TimeoutError: nothing arrives within `seconds`.
            Malformed: what arrives is no packet.
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

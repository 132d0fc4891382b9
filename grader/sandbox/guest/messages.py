"""Jupyter's messages between runner and kernel, over one pair of sockets: ZeroMQ's threads cost more than most cells.

Code in the kernel can send anything; what is not a message is ignored. Any thread and any forked child of the kernel
can send at any time, because a packet arrives whole or not at all and names its sender.
"""

from __future__ import annotations

import asyncio
import select
import socket
import struct
import threading
from typing import Any

from jupyter_client.session import json_packer, json_unpacker

__all__ = ["END", "TOO_LARGE", "MessageLine"]

END = "end"  # the type of a request that comes after the last cell, and of its reply
TOO_LARGE = "too large"  # the type of a message that replaces one which was too large to send
_PACKET_BYTES = 128 * 1024
_MAX_MESSAGE_BYTES = 8 * 2**20
_HEAD = struct.Struct("<I??")  # the sending thread; whether this is a message's first packet, and its last


class MessageLine:
    """One end of the line. A message is (channel, type, number of the request that it belongs to, content)."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._unfinished: dict[int, bytearray] = {}

    @classmethod
    def pair(cls) -> tuple[socket.socket, socket.socket]:
        """Return the sockets of both ends."""
        return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def send(self, channel: str, kind: str, request: Any, content: Any) -> None:
        """Send a message, or TOO_LARGE in its place.

        Raises:
            OSError: the other end is closed.
        """
        body = json_packer([channel, kind, request, content])
        if len(body) > _MAX_MESSAGE_BYTES:
            body = json_packer([channel, TOO_LARGE, request, {}])
        sender = threading.get_native_id()
        for start in range(0, len(body), _PACKET_BYTES):
            end = start + _PACKET_BYTES
            self._send(_HEAD.pack(sender, not start, end >= len(body)) + body[start:end])

    def _send(self, packet: bytes) -> None:
        while True:
            try:
                self._socket.send(packet)
            except BlockingIOError:
                select.select((), (self._socket,), ())
            else:
                return

    async def receive(self) -> tuple[str, str, Any, dict[str, Any]] | None:
        """Return the next message, or None at the end of the line."""
        loop = asyncio.get_running_loop()
        while packet := await loop.sock_recv(self._socket, _HEAD.size + _PACKET_BYTES):
            message = self._add_packet(packet)
            if message is not None:
                return message
        return None

    def _add_packet(self, packet: bytes) -> tuple[str, str, Any, dict[str, Any]] | None:
        """Return the message that this packet completes, if any."""
        if len(packet) < _HEAD.size:
            return None
        sender, first, last = _HEAD.unpack_from(packet)
        if first and last:
            return _parse(packet[_HEAD.size :])
        body = bytearray() if first else self._unfinished.pop(sender, bytearray())
        body += packet[_HEAD.size :]
        if last:
            return _parse(bytes(body))
        self._unfinished[sender] = body
        if sum(map(len, self._unfinished.values())) > 2 * _MAX_MESSAGE_BYTES:
            self._unfinished.clear()
        return None


def _parse(body: bytes) -> tuple[str, str, Any, dict[str, Any]] | None:
    try:
        match json_unpacker(body):
            case [str(channel), str(kind), request, dict(content)]:
                return channel, kind, request, content
    except (ValueError, RecursionError):
        pass
    return None

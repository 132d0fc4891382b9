"""Jupyter's messages between runner and kernel, over one pair of sockets: ZeroMQ's threads cost more than most cells.

Whoever is in the kernel can send anything; what is no message is passed over. Any thread and any forked child of the
kernel can send at any time, because a packet arrives whole or not at all and names its sender.
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

END = "end"  # the kind of a request that comes after the last cell, and of its reply
TOO_LARGE = "too large"  # the kind of a message that stands for one which was not sent
_PACKET_BYTES = 128 * 1024
_MAX_MESSAGE_BYTES = 8 * 2**20
_HEAD = struct.Struct("<I??")  # the sending thread; is it a message's first packet, and its last


class MessageLine:
    """One end of the line; a message is (channel, kind, number of the request that it belongs to, content)."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._begun: dict[int, bytearray] = {}

    @classmethod
    def pair(cls) -> tuple[socket.socket, socket.socket]:
        """Return the sockets of both ends."""
        return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def send(self, channel: str, kind: str, request: Any, content: Any) -> None:
        """Send a message, in its place a word about it where it is too large; raises OSError where nobody listens."""
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
        """Return the next message, None at the end of the line."""
        loop = asyncio.get_running_loop()
        while packet := await loop.sock_recv(self._socket, _HEAD.size + _PACKET_BYTES):
            message = self._completed(packet)
            if message is not None:
                return message
        return None

    def _completed(self, packet: bytes) -> tuple[str, str, Any, dict[str, Any]] | None:
        """Return the message that this packet completes, if any."""
        if len(packet) < _HEAD.size:
            return None
        sender, first, last = _HEAD.unpack_from(packet)
        if first and last:
            return _message(packet[_HEAD.size :])
        begun = bytearray() if first else self._begun.pop(sender, bytearray())
        begun += packet[_HEAD.size :]
        if last:
            return _message(bytes(begun))
        self._begun[sender] = begun
        if sum(map(len, self._begun.values())) > 2 * _MAX_MESSAGE_BYTES:
            self._begun.clear()
        return None


def _message(body: bytes) -> tuple[str, str, Any, dict[str, Any]] | None:
    try:
        match json_unpacker(body):
            case [str(channel), str(kind), request, dict(content)]:
                return channel, kind, request, content
    except (ValueError, RecursionError):
        pass
    return None

"""jupyter_client's session, which packs messages for our line instead of ZeroMQ's sockets."""

from __future__ import annotations

import os
from typing import Any

from jupyter_client.session import Session

from grader.sandbox.guest.internals.replacement import overriding
from grader.sandbox.guest.messages import MessageLine

__all__ = ["LineSession"]


@overriding("send", "feed_identities", "deserialize")
class LineSession(Session):  # type: ignore[misc]
    """Send messages on a line. One pair of processes needs no signatures."""

    line: MessageLine
    _owner = 0
    _is_mute = False

    def connect(self, line: MessageLine) -> None:
        """Send everything on this line from now on."""
        self.line, self._owner = line, os.getpid()

    def mute(self) -> None:
        """Send nothing any more."""
        self._is_mute = True

    def in_child(self) -> bool:
        """Return whether a cell forked this process. Its output is shown, but it is not the kernel."""
        return os.getpid() != self._owner

    def send(
        self,
        stream: Any,
        msg_or_type: dict[str, Any] | str,
        content: dict[str, Any] | None = None,
        parent: dict[str, Any] | None = None,
        ident: Any = None,
        buffers: Any = None,
        track: bool = False,
        header: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Send a message and return it. Only widgets use binary buffers, and those are ignored.

        Args:
            stream: the channel's stand-in for a socket (`internals.ipykernel.Outlet`).
            msg_or_type: the message, or its type. The other arguments are as in jupyter_client.
            content: the message's content.
            parent: the request that the message answers.
            ident: ignored.
            buffers: ignored.
            track: ignored.
            header: replaces the message's header.
            metadata: the message's metadata.
        """
        message: dict[str, Any] = (
            msg_or_type
            if isinstance(msg_or_type, dict)
            else self.msg(msg_or_type, content, parent=parent, header=header, metadata=metadata)
        )
        kind, request = message["header"]["msg_type"], message["parent_header"].get("msg_id")
        if self._is_mute or ((stream.channel == "shell" or kind == "status") and self.in_child()):
            return message
        try:
            self.line.send(stream.channel, kind, request, message["content"])
        except OSError:
            # A child that closed the line has only left the notebook. Without the line here, no cell could end.
            if not self.in_child():
                os._exit(1)
        return message

    def feed_identities(self, msg_list: Any, copy: bool = True) -> Any:
        """Return no identities: there is only one sender of requests."""
        return [], msg_list

    def deserialize(self, msg_list: Any, content: bool = True, copy: bool = True) -> Any:
        """Return the request, which did not come in parts."""
        return msg_list[0]

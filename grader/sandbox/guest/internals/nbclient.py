"""nbclient without Jupyter's kernel manager and client: what it needs of both, on one line."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from queue import Empty
from types import SimpleNamespace
from typing import Any

from nbclient import NotebookClient
from nbformat import NotebookNode

from grader.sandbox.guest.internals.replacement import overriding, replace_attribute
from grader.sandbox.guest.messages import END, TOO_LARGE, MessageLine
from grader.sandbox.protocol.limits import Limits

__all__ = ["BoundedRunner", "KernelClient", "KernelManager"]

_MAX_QUEUED = 100  # messages, before the kernel has to wait
_SECONDS_OF_EXCESS = 0.5


class KernelManager:
    """Do what nbclient needs a kernel manager for: interrupt the kernel."""

    has_kernel = True

    def __init__(self, pid: int) -> None:
        self._pid = pid

    async def interrupt_kernel(self) -> None:
        """Raise KeyboardInterrupt in the running cell."""
        os.kill(self._pid, signal.SIGINT)


class KernelClient:
    """Do what nbclient needs a kernel's client for: send a cell, and wait for its output and its reply.

    `place` is sent with every cell.
    """

    def __init__(self, line: MessageLine) -> None:
        self._line = line
        self._requests = 0
        self._queues: dict[str, asyncio.Queue[Any]] = {name: asyncio.Queue(_MAX_QUEUED) for name in ("shell", "iopub")}
        self.shell_channel = SimpleNamespace(get_msg=self._receive_reply)
        self.iopub_channel = SimpleNamespace(get_msg=self._receive_output)
        self.place: dict[str, Any] = {}

    async def listen(self) -> None:
        """Queue the kernel's messages until the line ends. The supervisor reports the end."""
        while message := await self._line.receive():
            channel, kind, request, content = message
            if channel in self._queues:
                header = {"msg_type": kind}
                await self._queues[channel].put(
                    {"header": header, "msg_type": kind, "parent_header": {"msg_id": request}, "content": content}
                )

    def execute(self, code: str, store_history: bool = True, stop_on_error: bool = True) -> int:
        """Send a cell, and return the request's number."""
        self._requests += 1
        content = {"code": code, "store_history": store_history, "stop_on_error": stop_on_error, "place": self.place}
        self._line.send("shell", "execute_request", self._requests, content)
        return self._requests

    async def end(self, cell: int) -> None:
        """Tell the kernel that `cell` was the last one, and wait for its reply."""
        self._line.send("shell", END, None, {"cell": cell})
        while (await self._receive_reply())["msg_type"] != END:
            continue

    def is_alive(self) -> bool:
        """Return True: the supervisor reports the kernel's end."""
        return True

    async def _receive_output(self, timeout: float | None = None) -> Any:
        return await self._queues["iopub"].get()

    async def _receive_reply(self, timeout: float | None = None) -> Any:
        try:
            async with asyncio.timeout(timeout):
                return await self._queues["shell"].get()
        except TimeoutError:
            raise Empty from None


@overriding("output", "_update_display_id")
class BoundedRunner(NotebookClient):  # type: ignore[misc]
    """nbclient with a bound on what a cell and a notebook may output.

    Attributes:
        replies: the kernel's replies to the current cell.
        cut: the notebook reached its bound.
        dropped: the current cell's output is not complete.
        flooded: the current cell was interrupted because of its output.
    """

    cell_bytes = 0
    notebook_bytes = 0
    cut = False
    dropped = False
    flooded = False
    _excess_since: float | None = None
    _updated: set[int]

    @classmethod
    def of(cls, notebook: NotebookNode, kernel_pid: int, client: KernelClient, limits: Limits) -> BoundedRunner:
        """Return a runner for the cells of `notebook`."""
        runner: BoundedRunner = cls(
            notebook,
            km=KernelManager(kernel_pid),
            timeout_func=lambda _: limits.cell_seconds,
            interrupt_on_timeout=True,
            allow_errors=True,
            coalesce_streams=False,
            iopub_timeout=2,
            store_widget_state=False,
            record_timing=False,
        )
        replace_attribute(runner, "kc", client)
        runner.replies = []
        runner._updated = set()
        runner.on_cell_executed = lambda cell, cell_index, execute_reply: runner.replies.append(execute_reply)
        return runner

    def bound(self, limits: Limits, shown: bool) -> None:
        """Take the limits, and whether the output of cells is kept at all."""
        self._limits, self._shown = limits, shown

    def begin_cell(self) -> None:
        """Start counting a cell's output."""
        self.cell_bytes, self.cut, self.dropped, self.flooded, self._excess_since = 0, False, False, False, None
        self.replies.clear()

    def output(self, outs: list[Any], msg: dict[str, Any], display_id: str | None, cell_index: int) -> Any:
        """Keep an output that is within the bounds. Interrupt a cell that goes on and on."""
        self._count(msg)
        return None if self.dropped or not self._shown else super().output(outs, msg, display_id, cell_index)

    def _update_display_id(self, display_id: str, msg: dict[str, Any]) -> None:
        """Show something in the place of earlier outputs."""
        if msg["msg_type"] == "update_display_data":
            self._count(msg)
        if not self.dropped:
            self._updated.update(self._display_id_map.get(display_id, {}))
            super()._update_display_id(display_id, msg)

    def take_updated(self, position: int) -> list[int]:
        """Return the cells before this one with outputs that were updated since the last call."""
        updated = sorted(earlier for earlier in self._updated if earlier < position)
        self._updated.clear()
        return updated

    def _count(self, msg: dict[str, Any]) -> None:
        if msg["msg_type"] == TOO_LARGE:
            self.dropped = True
            return
        size = len(str(msg.get("content", "")))
        self.cell_bytes += size
        self.notebook_bytes += size
        self.cut = self.cut or self.notebook_bytes > self._limits.notebook_output_bytes
        if self.cell_bytes > 2 * self._limits.cell_output_bytes:
            self._end_flood()
        self.dropped = self.dropped or self.cut or self.cell_bytes > 2 * self._limits.cell_output_bytes

    def _end_flood(self) -> None:
        # Not at once: one large output is over already, and an interrupt between cells would hit ipykernel itself.
        now = time.monotonic()
        self._excess_since = self._excess_since or now
        if not self.flooded and now - self._excess_since > _SECONDS_OF_EXCESS:
            self.interrupt = asyncio.ensure_future(self.km.interrupt_kernel())
        self.flooded = self.flooded or now - self._excess_since > _SECONDS_OF_EXCESS

"""The runner: nbclient drives the kernel cell by cell, inside the sandbox because a kernel can break its driver."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
import time
from queue import Empty
from types import SimpleNamespace
from typing import Any

from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode

from grader.sandbox.guest.messages import END, TOO_LARGE, MessageLine
from grader.sandbox.protocol.channels import Channel
from grader.sandbox.protocol.limits import Limits
from grader.sandbox.protocol.outputs import CUT, KeptOutputs

__all__ = ["run_cells"]

_WAITING = 100  # messages, before the kernel has to wait
_SECONDS_OF_EXCESS = 0.5
_STATUS_OF = {
    "TrainingDataWithheld": "training withheld",
    "FrameworkMissing": "training withheld",
    "OutputFlood": "flooded",
    "MemoryError": "out of memory",
    "_ArrayMemoryError": "out of memory",
}


class _Kernel:
    """What nbclient asks of a kernel manager: to interrupt."""

    has_kernel = True

    def __init__(self, pid: int) -> None:
        self._pid = pid

    async def interrupt_kernel(self) -> None:
        """Raise KeyboardInterrupt in the running cell."""
        os.kill(self._pid, signal.SIGINT)


class _Client:
    """What nbclient asks of a kernel's client: to send a cell, and to wait for what comes of it."""

    def __init__(self, line: MessageLine) -> None:
        self._line = line
        self._requests = 0
        self._waiting: dict[str, asyncio.Queue[Any]] = {name: asyncio.Queue(_WAITING) for name in ("shell", "iopub")}
        self.shell_channel = SimpleNamespace(get_msg=self._reply)
        self.iopub_channel = SimpleNamespace(get_msg=self._output)
        self.place: dict[str, Any] = {}

    async def listen(self) -> None:
        """Take in what the kernel sends; at its end there is nothing to be done, for the supervisor tells of it."""
        while message := await self._line.receive():
            channel, kind, request, content = message
            if channel in self._waiting:
                header = {"msg_type": kind}
                await self._waiting[channel].put(
                    {"header": header, "msg_type": kind, "parent_header": {"msg_id": request}, "content": content}
                )

    def execute(self, code: str, store_history: bool = True, stop_on_error: bool = True) -> int:
        """Ask for a cell, and return the request's number."""
        self._requests += 1
        content = {"code": code, "store_history": store_history, "stop_on_error": stop_on_error, "place": self.place}
        self._line.send("shell", "execute_request", self._requests, content)
        return self._requests

    async def end(self, cell: int) -> None:
        """Tell the kernel that this cell was the last, and wait until it knows."""
        self._line.send("shell", END, None, {"cell": cell})
        while (await self._reply())["msg_type"] != END:
            continue

    def is_alive(self) -> bool:
        """Return that the kernel lives: of its end the supervisor tells."""
        return True

    async def _output(self, timeout: float | None = None) -> Any:
        return await self._waiting["iopub"].get()

    async def _reply(self, timeout: float | None = None) -> Any:
        try:
            async with asyncio.timeout(timeout):
                return await self._waiting["shell"].get()
        except TimeoutError:
            raise Empty from None


class _BoundedClient(NotebookClient):  # type: ignore[misc]
    """nbclient with a bound on what a cell and a notebook may send."""

    cell_bytes = 0
    notebook_bytes = 0
    cut = False
    dropped = False
    flooded = False
    _excess_since: float | None = None

    def bound(self, limits: Limits, shown: bool) -> None:
        """Take the assignment's limits, and whether anybody is to see what cells show."""
        self._limits, self._shown = limits, shown

    def begin_cell(self) -> None:
        """Start counting a cell's output."""
        self.cell_bytes, self.cut, self.dropped, self.flooded, self._excess_since = 0, False, False, False, None

    def output(self, outs: list[Any], msg: dict[str, Any], display_id: str | None, cell_index: int) -> Any:
        """Keep an output while it is within bounds; end the cell when it goes on and on."""
        if msg["msg_type"] == TOO_LARGE:
            self.dropped = True
            return None
        size = len(str(msg.get("content", "")))
        self.cell_bytes += size
        self.notebook_bytes += size
        self.cut = self.cut or self.notebook_bytes > self._limits.notebook_output_bytes
        if self.cell_bytes > 2 * self._limits.cell_output_bytes:
            self._end_flood()
        self.dropped = self.dropped or self.cut or self.cell_bytes > 2 * self._limits.cell_output_bytes
        return None if self.dropped or not self._shown else super().output(outs, msg, display_id, cell_index)

    def _end_flood(self) -> None:
        # Not at once: one large output is over already, and an interrupt between cells would hit ipykernel itself.
        now = time.monotonic()
        self._excess_since = self._excess_since or now
        if not self.flooded and now - self._excess_since > _SECONDS_OF_EXCESS:
            self.interrupt = asyncio.ensure_future(self.km.interrupt_kernel())
        self.flooded = self.flooded or now - self._excess_since > _SECONDS_OF_EXCESS


def run_cells(line: socket.socket, kernel_pid: int, connection: socket.socket, limits: Limits) -> None:
    """Take cells from the trusted side, run them, and report how each ended."""
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    asyncio.run(_run(MessageLine(line), kernel_pid, Channel(connection), limits))


async def _run(line: MessageLine, kernel_pid: int, channel: Channel, limits: Limits) -> None:
    order = channel.receive()
    cells = [(index, source) for index, source in order["cells"]]
    client = _Client(line)
    listening = asyncio.create_task(client.listen())
    notebook = NotebookNode(cells=[_cell(source) for _, source in cells])
    runner = _BoundedClient(
        notebook,
        km=_Kernel(kernel_pid),
        kc=client,
        timeout_func=lambda _: limits.cell_seconds,
        interrupt_on_timeout=True,
        allow_errors=True,
        coalesce_streams=False,
        iopub_timeout=2,
        store_widget_state=False,
        record_timing=False,
    )
    runner.kc = client
    runner.bound(limits, order["shown"])
    runner.reset_execution_trackers()
    replies: list[dict[str, Any]] = []
    runner.on_cell_executed = lambda cell, cell_index, execute_reply: replies.append(execute_reply)
    shown = KeptOutputs(limits)
    await client.iopub_channel.get_msg()  # the kernel's word that it starts
    channel.send({"event": "ready"})
    for position, (index, _) in enumerate(cells):
        client.place = {"cell": index}
        channel.send({"event": "started", "cell": index})
        runner.begin_cell()
        replies.clear()
        started = time.monotonic()
        try:
            await runner.async_execute_cell(notebook.cells[position], position)
        except DeadKernelError:
            return
        seconds = time.monotonic() - started
        status, message = _status(replies[0] if replies else None, seconds, limits, runner)
        finished = {"cell": index, "status": status, "message": message, "seconds": seconds, "cut": runner.cut}
        if order["shown"]:
            outputs = [*notebook.cells[position].outputs, *([CUT] if runner.dropped else ())]
            finished["outputs"] = shown.keep("", index, outputs)
        channel.send({"event": "finished", **finished})
        channel.receive()  # the next cell begins when the trusted side has seen what this one left behind
    await client.end(cells[-1][0])
    channel.send({"event": "done"})
    listening.cancel()


def _cell(source: str) -> NotebookNode:
    """Return a cell as nbformat's functions do, which check it against the schema besides."""
    return NotebookNode(cell_type="code", source=source, metadata=NotebookNode(), outputs=[], execution_count=None)


def _status(reply: dict[str, Any] | None, seconds: float, limits: Limits, runner: _BoundedClient) -> tuple[str, str]:
    content = reply["content"] if reply else {"status": "error", "ename": "", "evalue": "no reply"}
    if content["status"] == "ok":
        return ("flooded", "the output is cut") if runner.flooded else ("ok", "")
    name, text = str(content.get("ename", "")), str(content.get("evalue", ""))
    text = re.sub(r"0x[0-9a-f]{6,}", "0x…", text)[:500]
    if name == "KeyboardInterrupt":
        if seconds >= limits.cell_seconds:
            return "timed out", f"ran past {limits.cell_seconds:g} s and was interrupted"
        if runner.flooded:
            return "flooded", "printed too much and was ended"
    status = _STATUS_OF.get(name, "raised")
    if name == "RuntimeError" and "can't allocate memory" in text:
        status = "out of memory"
    return status, text if status in ("training withheld", "flooded") else f"{name}: {text}"

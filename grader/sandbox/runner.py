"""The runner: nbclient drives the kernel cell by cell, inside the sandbox because a kernel can break its driver."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
import time
from typing import Any

import zmq
import zmq.asyncio
from jupyter_client.asynchronous import AsyncKernelClient
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat.v4 import new_code_cell, new_notebook

from grader.assignment import Limits
from grader.sandbox.kernel import PORTS, KernelAddress
from grader.sandbox.outputs import CUT, KeptOutputs
from grader.sandbox.wire import Channel

__all__ = ["run_cells"]

_MAX_MESSAGE_BYTES = 8 * 2**20
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


class _BoundedClient(NotebookClient):  # type: ignore[misc]
    """nbclient with a bound on what a cell and a notebook may send."""

    cell_bytes = 0
    notebook_bytes = 0
    cut = False
    dropped = False
    flooded = False
    _excess_since: float | None = None

    def bound(self, limits: Limits) -> None:
        """Take the assignment's limits."""
        self._limits = limits

    def begin_cell(self) -> None:
        """Start counting a cell's output."""
        self.cell_bytes, self.cut, self.dropped, self.flooded, self._excess_since = 0, False, False, False, None

    def output(self, outs: list[Any], msg: dict[str, Any], display_id: str | None, cell_index: int) -> Any:
        """Keep an output while it is within bounds; end the cell when it goes on and on."""
        size = len(str(msg.get("content", "")))
        self.cell_bytes += size
        self.notebook_bytes += size
        self.cut = self.cut or self.notebook_bytes > self._limits.notebook_output_bytes
        if self.cell_bytes > 2 * self._limits.cell_output_bytes:
            self._end_flood()
        self.dropped = self.dropped or self.cut or self.cell_bytes > 2 * self._limits.cell_output_bytes
        return None if self.dropped else super().output(outs, msg, display_id, cell_index)

    def _end_flood(self) -> None:
        # Not at once: one large output is over already, and an interrupt between cells would hit ipykernel itself.
        now = time.monotonic()
        self._excess_since = self._excess_since or now
        if not self.flooded and now - self._excess_since > _SECONDS_OF_EXCESS:
            self.interrupt = asyncio.ensure_future(self.km.interrupt_kernel())
        self.flooded = self.flooded or now - self._excess_since > _SECONDS_OF_EXCESS


def run_cells(address: KernelAddress, kernel_pid: int, connection: socket.socket, limits: Limits) -> None:
    """Take cells from the trusted side, run them, and report how each ended."""
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    asyncio.run(_run(address, kernel_pid, Channel(connection), limits))


async def _run(address: KernelAddress, kernel_pid: int, channel: Channel, limits: Limits) -> None:
    order = channel.receive()
    cells = [(index, source) for index, source in order["cells"]]
    context = zmq.asyncio.Context()
    context.maxmsgsize = _MAX_MESSAGE_BYTES
    context.rcvhwm = 100
    # The kernel binds its sockets a moment after the first attempt; the default is to wait 100 ms between attempts.
    context.reconnect_ivl = 2
    client = AsyncKernelClient(context=context, transport="ipc", ip=address.path, **PORTS)
    client.session.key = address.key
    client.start_channels(stdin=False, hb=False, control=False)
    notebook = new_notebook(cells=[new_code_cell(source) for _, source in cells])
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
    )
    runner.kc = client
    runner.bound(limits)
    runner.reset_execution_trackers()
    replies: list[dict[str, Any]] = []
    runner.on_cell_executed = lambda cell, cell_index, execute_reply: replies.append(execute_reply)
    shown = KeptOutputs(limits)
    await _until_ready(client, channel)
    for position, (index, _) in enumerate(cells):
        last = position == len(cells) - 1
        client.session.metadata = {"cell": index, "last": last}
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
    channel.send({"event": "done"})


async def _until_ready(client: AsyncKernelClient, channel: Channel) -> None:
    """Wait until the kernel answers and its output arrives, without jupyter_client's fixed waits."""
    message = None
    while message is None or message["msg_type"] != "status":
        client.kernel_info()
        await client.get_shell_msg(timeout=60)
        try:
            message = await client.get_iopub_msg(timeout=0.02)
            while message["msg_type"] == "iopub_welcome":
                message = await client.get_iopub_msg(timeout=0.2)
        except Exception as error:  # queue.Empty under whichever name this version raises it
            if type(error).__name__ != "Empty":
                raise
    channel.send({"event": "ready"})


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

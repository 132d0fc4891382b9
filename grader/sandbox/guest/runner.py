"""The runner: nbclient drives the kernel cell by cell, inside the sandbox because a kernel can break its driver."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from typing import Any

from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode

from grader.sandbox.guest.internals.nbclient import BoundedRunner, KernelClient
from grader.sandbox.guest.messages import MessageLine
from grader.sandbox.protocol.channels import Channel
from grader.sandbox.protocol.limits import Limits
from grader.sandbox.protocol.outputs import CUT, KeptOutputs
from grader.sandbox.protocol.stops import StatementStop, StopKind, pack_stops, unpack_stops

__all__ = ["run_cells"]

# The status of a cell is the first of these that one of its statements has.
_KINDS = (StopKind.FLOODED, StopKind.OUT_OF_MEMORY, StopKind.RAISED, StopKind.LEFT_OUT)


def run_cells(line: socket.socket, kernel_pid: int, connection: socket.socket, limits: Limits) -> None:
    """Take cells from the trusted side, run them, and report how each ended.

    Args:
        line: leads to the kernel.
        kernel_pid: the kernel's process, which is interrupted when a cell takes too long.
        connection: leads to the trusted side.
        limits: the assignment's.
    """
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    asyncio.run(_run(MessageLine(line), kernel_pid, Channel(connection), limits))


async def _run(line: MessageLine, kernel_pid: int, channel: Channel, limits: Limits) -> None:
    order = channel.receive()
    cells = [(index, source) for index, source in order["cells"]]
    client = KernelClient(line)
    listening = asyncio.create_task(client.listen())
    notebook = NotebookNode(cells=[_make_cell(source) for _, source in cells])
    runner = BoundedRunner.of(notebook, kernel_pid, client, limits)
    runner.bound(limits, order["shown"])
    shown = KeptOutputs(limits)
    await client.iopub_channel.get_msg()  # the kernel's message that it starts
    channel.send({"event": "ready"})
    for position, (index, _) in enumerate(cells):
        client.place = {"cell": index}
        channel.send({"event": "started", "cell": index})
        runner.begin_cell()
        started = time.monotonic()
        try:
            await runner.async_execute_cell(notebook.cells[position], position)
        except DeadKernelError:
            return
        seconds = time.monotonic() - started
        status, message, stops = _read_end(runner, seconds, limits)
        finished = {"cell": index, "status": status, "message": message, "seconds": seconds, "cut": runner.cut}
        finished["stops"] = pack_stops(stops)
        if order["shown"]:
            outputs = [*notebook.cells[position].outputs, *([CUT] if runner.dropped else ())]
            finished["outputs"] = shown.keep("", index, outputs)
            finished["updated"] = tuple(
                (cells[earlier][0], shown.update("", cells[earlier][0], notebook.cells[earlier].outputs))
                for earlier in runner.take_updated(position)
            )
        channel.send({"event": "finished", **finished})
        channel.receive()  # the next cell begins after the trusted side has looked at what this one left behind
    await client.end(cells[-1][0])
    channel.send({"event": "done"})
    listening.cancel()


def _make_cell(source: str) -> NotebookNode:
    """Return a cell like those of nbformat's functions, which would also check it against the schema."""
    return NotebookNode(cell_type="code", source=source, metadata=NotebookNode(), outputs=[], execution_count=None)


def _read_end(runner: BoundedRunner, seconds: float, limits: Limits) -> tuple[str, str, tuple[StatementStop, ...]]:
    """Return how the last cell ended, a message, and the statements that raised."""
    no_reply: dict[str, Any] = {"status": "error", "ename": "", "evalue": "no reply"}
    content = runner.replies[0]["content"] if runner.replies else no_reply
    stops = unpack_stops(content.get("stops"))
    if content["status"] == "ok" and not stops:
        return *(("flooded", "the output is cut") if runner.flooded else ("ok", "")), stops
    name, text = str(content.get("ename", "")), str(content.get("evalue", ""))[:500]
    kinds = {stop.kind for stop in stops}
    if name == "KeyboardInterrupt" or StopKind.INTERRUPTED in kinds:
        if seconds >= limits.cell_seconds:
            return "timed out", f"ran past {limits.cell_seconds:g} s and was interrupted", stops
        if runner.flooded:
            return "flooded", "printed too much and was ended", stops
    status = next((kind for kind in _KINDS if kind in kinds), StopKind.RAISED)
    return status.value, f"{name}: {text}", stops

"""One life of a kernel: its cells are run in turn, and what agent, runner and first process say is taken down.

All that arrives on these lines may come from the student: it is bounded, and what has another form breaks the line.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from grader.errors import SandboxFault
from grader.models.modules import PACKAGES_PATTERN
from grader.results.report import CellResult
from grader.sandbox.host.decoding import estimate_size
from grader.sandbox.host.execution import Execution, RecordedNote, RunOptions, Snapshot, wait_for_running
from grader.sandbox.host.sandbox import Sandbox
from grader.sandbox.host.training_notes import read_own_training
from grader.sandbox.protocol.channels import Channel, Packets
from grader.sandbox.protocol.encoding import Closed, Malformed
from grader.sandbox.protocol.limits import Limits
from grader.submission.submission import Cell

__all__ = ["MOST_SNAPSHOTS", "KernelRun"]

MOST_SNAPSHOTS = 100
_SECONDS_OF_GRACE = 4.0  # after an interrupt, before a hanging kernel is replaced
_SECONDS_TO_START = 60.0
_MAX_NOTES = 5_000
_MAX_TRAININGS = 100
_MOST = 2**22  # no process number of Linux is larger
_MAX_NOTE_BYTES = 32 * 2**20


class KernelRun:
    """One kernel's life: every cell that is not blamed, until the end or until the next one to blame."""

    def __init__(
        self,
        sandbox: Sandbox,
        file: str,
        cells: Sequence[Cell],
        blamed: set[int],
        watch: RunOptions,
        limits: Limits,
        deadline: float,
        execution: Execution,
    ) -> None:
        self._sandbox = sandbox
        self._file = file
        self._cells = [cell for cell in cells if cell.index not in blamed]
        self._indexes = {cell.index for cell in self._cells}
        self._watch = watch
        self._limits = limits
        self._deadline = deadline
        self._execution = execution
        self._known = set(execution.cells)
        self._current: int | None = None
        self._last_started: int | None = None
        self._cell_deadline = time.monotonic() + _SECONDS_TO_START
        self._memory_kills = sandbox.memory_kills()
        self._note_bytes = 0
        self._finished = False

    def run(self) -> int | None:
        """Return the cell to blame, None when there is none."""
        if not self._cells:
            return None
        shown = self._execution.outputs is not None
        order = {
            "names": self._watch.names,
            "variables": self._watch.variables,
            "packages_pattern": PACKAGES_PATTERN,
            "kept": tuple((s.cell, s.part) for s in self._execution.snapshots if s.file == self._file),
            "seed": self._watch.seed,
            "moments": self._watch.moments,
            "mode": str(self._watch.mode),
            "data_sets": dict(self._watch.data_sets),
            "cell_seconds": self._limits.cell_seconds,
            "shown": shown,
        }
        agent, runner, self._kernel = self._sandbox.start(order)
        channel = Channel(runner)
        try:
            cells = tuple((cell.index, cell.source) for cell in self._cells)
            channel.send({"cells": cells, "shown": shown}, seconds=30)
        except (Closed, TimeoutError, TypeError) as error:
            raise SandboxFault(f"the runner took no cells: {error}") from None
        try:
            return self._follow(agent, channel)
        finally:
            self._drain(agent)
            agent.close()
            channel.close()

    def _follow(self, agent: Packets, channel: Channel) -> int | None:
        lines: dict[socket.socket, Any] = {
            agent.socket: lambda: self._take_note(agent, lines),
            channel.socket: lambda: self._take_event(channel),
            self._sandbox.orders.socket: self._take_end,
        }
        while not self._finished:
            now = time.monotonic()
            if now >= self._deadline:
                self._execution.hit(f"the submission ran past its {self._limits.submission_seconds:g} s")
                self._end_cell("timed out", "the submission's time was used up")
                return None
            if now >= self._cell_deadline:
                return self._blame(
                    "timed out", f"ran past {self._limits.cell_seconds:g} s and could not be interrupted"
                )
            wait = min(self._deadline, self._cell_deadline) - now
            ready, _, _ = select.select(list(lines), [], [], wait)
            # The agent's word about a cell comes before the runner's word that the cell is over.
            for line in sorted(ready, key=list(lines).index):
                try:
                    end = lines[line]()
                except (Closed, Malformed, TimeoutError, ArithmeticError, KeyError, TypeError, ValueError):
                    end = self._lost_line(line, lines, agent)
                if end is not None:
                    return self._blame(*end)
        return None

    def _lost_line(self, line: socket.socket, lines: dict[socket.socket, Any], agent: Packets) -> Any:
        """Decide what a broken line means: without the agent the cells go on, without the runner they cannot."""
        if line is agent.socket:
            del lines[line]
            return None
        if line is self._sandbox.orders.socket:
            raise SandboxFault("the sandbox's first process is gone")
        return "broke the run", "broke the process that runs the cells"

    def _take_event(self, channel: Channel) -> tuple[str, str] | None:
        event = channel.receive(seconds=5)
        match event["event"]:
            case "started":
                self._current = self._last_started = int(event["cell"])
                # The runner interrupts at the limit itself; this is for a kernel that does not listen.
                self._cell_deadline = time.monotonic() + self._limits.cell_seconds + _SECONDS_OF_GRACE
            case "finished":
                if self._execution.outputs is not None and self._current is not None:
                    self._execution.outputs.keep(self._file, self._current, event.get("outputs"))
                self._end_cell(str(event["status"])[:40], str(event["message"])[:1000], float(event["seconds"]))
                if event["cut"]:
                    self._execution.hit(
                        f"{self._file}: more than {self._limits.notebook_output_bytes} bytes of output; the rest is cut"
                    )
                # One stands for all: who sweeps the process numbers hits it too.
                self._current = None
                first = self._execution.snapshots[:1]
                if wait_for_running(first) != first:
                    return "broke the run", "killed or stopped other processes of the run"
                channel.send({"next": True}, seconds=5)
            case "done":
                self._finished = True
        return None

    def _take_end(self) -> tuple[str, str] | None:
        message, _ = self._sandbox.orders.receive(seconds=5)
        # Of the runner's end its own line tells, after everything that it had to say.
        if message.get("ended") != self._kernel:
            return None
        if self._sandbox.memory_kills() > self._memory_kills:
            return "out of memory", f"needed more than {self._limits.memory_bytes / 2**30:g} GiB"
        status = int(message["status"])
        how = f"exit status {status}" if status >= 0 else f"signal {-status}"
        return "ended the kernel", f"ended the kernel ({how})"

    def _take_note(self, agent: Packets, lines: dict[socket.socket, Any]) -> None:
        """Keep what the agent says; anybody in the kernel can speak on its line."""
        note, descriptors = agent.receive(seconds=5)
        try:
            cell = int(note["cell"])
            if cell not in self._indexes:
                raise ValueError("no such cell")
            match note["note"]:
                case "snapshot" if len(descriptors) == 1:
                    self._add_snapshot(cell, note, descriptors)
                case "imported":
                    for name in set(note["names"]) & set(self._watch.names):
                        self._execution.imported[name] = str(note["names"][name])[:100]
                case "training" if (self._file, cell) not in self._known:
                    if len(self._execution.trainings) < _MAX_TRAININGS:
                        self._execution.trainings.append(read_own_training(self._file, cell, note))
                case "notice":
                    self._execution.notice(f"{self._file}: {str(note['text'])[:200]}")
                case "value" if (self._file, cell) not in self._known:
                    self._add_value(cell, note, lines, agent)
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise Malformed(f"a note of the wrong form: {error}") from None
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _add_snapshot(self, cell: int, note: dict[str, Any], descriptors: list[int]) -> None:
        pid, at_end = int(note["pid"]), self._asked_for(note["at_end"])
        moments = [self._moment(*each) for each in note["moments"]]
        part, names = self._part(note["part"]), frozenset(self._asked_for(dict.fromkeys(note["names"], cell)))
        if not 0 < pid < _MOST:
            raise ValueError("no such process")
        if len(self._execution.snapshots) + len(moments) >= MOST_SNAPSHOTS:
            self._execution.hit(f"more than {MOST_SNAPSHOTS} definitions; later ones are not judged")
            return
        try:
            line = socket.socket(fileno=descriptors[0])
        except OSError:
            raise Malformed("a snapshot's line is no socket") from None
        descriptors.clear()
        if line.family != socket.AF_UNIX or line.type != socket.SOCK_SEQPACKET:
            line.close()
            raise Malformed("a snapshot's line is a socket of another kind")
        last = Snapshot(self._file, cell, part, names, at_end, pid, Packets(line))
        earlier = [
            replace(last, cell=at[0], part=at[1], names=bound, at_end={}, moment=at, same=same)
            for at, bound, same in moments
        ]
        self._execution.snapshots += [*earlier, last]

    def _moment(self, cell: Any, part: Any, names: Any, same: Any) -> tuple[tuple[int, int], frozenset[str], bool]:
        if int(cell) not in self._indexes:
            raise ValueError("no such cell")
        bound = self._asked_for(dict.fromkeys(names, cell))
        return (int(cell), self._part(part)), frozenset(bound), same is True

    def _asked_for(self, places: dict[str, Any]) -> dict[str, int]:
        return {name: int(place) for name, place in places.items() if name in self._watch.names}

    @staticmethod
    def _part(value: Any) -> int:
        if not 0 < int(value) < _MOST:
            raise ValueError("no such moment")
        return int(value)

    def _add_value(self, cell: int, note: dict[str, Any], lines: dict[socket.socket, Any], agent: Packets) -> None:
        value = note["value"]
        self._note_bytes += estimate_size(value)
        if len(self._execution.notes) >= _MAX_NOTES or self._note_bytes > _MAX_NOTE_BYTES:
            self._execution.hit("more values than can be kept; later ones are not judged")
            lines.pop(agent.socket, None)
            return
        self._execution.notes.append(RecordedNote(self._file, cell, str(note["name"])[:200], value))

    def _drain(self, agent: Packets) -> None:
        """Take what the agent sent before the end was noticed."""
        for _ in range(MOST_SNAPSHOTS):
            try:
                if not select.select([agent.socket], [], [], 0)[0]:
                    return
                self._take_note(agent, {})
            except (Closed, Malformed, TimeoutError):
                return

    def _end_cell(self, status: str, message: str, seconds: float = 0.0) -> None:
        if self._current is None:
            return
        place = (self._file, self._current)
        if place not in self._known or status in ("ended the kernel", "broke the run"):
            self._execution.cells[place] = CellResult(self._file, self._current, status, message)
            self._execution.seconds[place] = seconds
        if status in ("timed out", "out of memory", "flooded"):
            self._execution.hit(f"{self._file}, cell {self._current}: {status}")

    def _blame(self, status: str, message: str) -> int | None:
        if self._last_started is None and self._known:
            # The first one did start, so it is what a cell left behind that keeps this one from it.
            self._execution.hit(f"{self._file}: no other kernel could be started after what a cell left behind")
            return None
        if self._last_started is None:
            raise SandboxFault(f"the kernel did not start: {message}")
        self._current = self._last_started  # between two cells it was the one before
        self._end_cell(status, message)
        return self._last_started

"""One run of a kernel: run its cells in turn, and record what its definition tracker and its runner report.

Everything that arrives from the kernel and the runner may have been forged by the student. It is bounded, and a message
of the wrong form closes the line.
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
from grader.place import Place
from grader.results.notice import Notice, NoticeKind
from grader.sandbox.host.cell_ends import describe_cell_end
from grader.sandbox.host.decoding import estimate_size, read_text
from grader.sandbox.host.execution import Execution, RecordedNote, RunOptions, Snapshot, find_running
from grader.sandbox.host.sandbox import Sandbox
from grader.sandbox.host.training_notes import read_own_training
from grader.sandbox.protocol.channels import Channel, Packets
from grader.sandbox.protocol.encoding import Closed, Malformed
from grader.sandbox.protocol.file_pack import is_plain_path
from grader.sandbox.protocol.limits import Limits
from grader.sandbox.protocol.outputs import KeptOutputs
from grader.sandbox.protocol.stops import StatementStop, unpack_stops
from grader.submission.submission import Cell

__all__ = ["MOST_SNAPSHOTS", "KernelRun"]

MOST_SNAPSHOTS = 100
_SECONDS_OF_GRACE = 4.0  # after an interrupt, before a hanging kernel is replaced
_SECONDS_TO_START = 60.0
_MAX_NOTES = 5_000
_MAX_TRAININGS = 100
_MAX_NUMBER = 2**22  # no process number of Linux is larger
_MAX_NOTE_BYTES = 32 * 2**20
_MAX_EVENT_BYTES = 2**20  # without the outputs of cells
# A kernel sends one notice of these for each subject. It has the cell; other notices are about the whole notebook.
_NAMED_ONCE = (NoticeKind.MISSING_PACKAGE, NoticeKind.VERSION, NoticeKind.HIDDEN_NAME)


class KernelRun:
    """Run the cells that are not blamed in one kernel, until the last one or until the next cell to blame.

    Args:
        sandbox: the sandbox to start the kernel in.
        file: the notebook's name.
        cells: its code cells.
        blamed: the indexes of cells to leave out, because a kernel did not survive them.
        options: what the kernel records.
        limits: the assignment's limits.
        deadline: when the submission's time is over (monotonic seconds).
        execution: the results to add to.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        file: str,
        cells: Sequence[Cell],
        blamed: set[int],
        options: RunOptions,
        limits: Limits,
        deadline: float,
        execution: Execution,
    ) -> None:
        self._sandbox = sandbox
        self._file = file
        self._cells = [cell for cell in cells if cell.index not in blamed]
        self._indexes = {cell.index for cell in self._cells}
        self._options = options
        self._limits = limits
        self._deadline = deadline
        self._execution = execution
        self._known = set(execution.cells)
        self._current: int | None = None
        self._last_started: int | None = None
        self._cell_deadline = time.monotonic() + _SECONDS_TO_START
        self._memory_kills = sandbox.count_memory_kills()
        self._note_bytes = 0
        self._finished = False

    def run(self) -> int | None:
        """Run the cells. Return the index of the cell to blame, or None if the kernel survived.

        Raises:
            SandboxFault: our side of the sandbox broke.
        """
        if not self._cells:
            return None
        shown = self._execution.outputs is not None
        tracker, runner, self._kernel = self._sandbox.start(self._make_order(shown), self._file)
        channel = Channel(runner, max_received_bytes=self._bound_events(shown))
        try:
            cells = tuple((cell.index, cell.source) for cell in self._cells)
            channel.send({"cells": cells, "shown": shown}, seconds=30)
        except (Closed, TimeoutError, TypeError) as error:
            raise SandboxFault(f"the runner took no cells: {error}") from None
        try:
            return self._follow(tracker, channel)
        finally:
            self._drain(tracker)
            tracker.close()
            channel.close()

    def _bound_events(self, shown: bool) -> int:
        """Return the size of the largest event that the runner may send: one with all outputs of a notebook."""
        return _MAX_EVENT_BYTES + (2 * self._limits.notebook_output_bytes if shown else 0)

    def _make_order(self, shown: bool) -> dict[str, Any]:
        return {
            "names": self._options.names,
            "variables": self._options.variables,
            "packages_pattern": PACKAGES_PATTERN,
            "kept": tuple((s.cell, s.part) for s in self._execution.snapshots if s.file == self._file),
            "seed": self._options.seed,
            "deferred_snapshots": self._options.deferred_snapshots,
            "mode": str(self._options.mode),
            "data_sets": dict(self._options.data_sets),
            "cell_seconds": self._limits.cell_seconds,
            "shown": shown,
            "gpu": self._options.gpu,
        }

    def _follow(self, tracker: Packets, channel: Channel) -> int | None:
        lines: dict[socket.socket, Any] = {
            tracker.socket: lambda: self._handle_note(tracker, lines),
            channel.socket: lambda: self._handle_event(channel),
            self._sandbox.orders.socket: self._handle_end,
        }
        while not self._finished:
            now = time.monotonic()
            if now >= self._deadline:
                self._execution.add_limit(f"the submission ran past its {self._limits.submission_seconds:g} s")
                self._end_cell("timed out", "the submission's time was used up")
                return None
            if now >= self._cell_deadline:
                return self._blame(
                    "timed out", f"ran past {self._limits.cell_seconds:g} s and could not be interrupted"
                )
            wait = min(self._deadline, self._cell_deadline) - now
            ready, _, _ = select.select(list(lines), [], [], wait)
            # Read the tracker's notes on a cell before the runner's message that the cell has ended.
            for line in sorted(ready, key=list(lines).index):
                try:
                    end = lines[line]()
                except (Closed, Malformed, TimeoutError, ArithmeticError, KeyError, TypeError, ValueError):
                    end = self._handle_lost_line(line, lines, tracker)
                if end is not None:
                    return self._blame(*end)
        return None

    def _handle_lost_line(self, line: socket.socket, lines: dict[socket.socket, Any], tracker: Packets) -> Any:
        """Decide what a broken line means: cells can go on without the tracker, but not without the runner."""
        if line is tracker.socket:
            del lines[line]
            return None
        if line is self._sandbox.orders.socket:
            raise SandboxFault("the sandbox's first process is gone")
        return "broke the run", "broke the process that runs the cells"

    def _handle_event(self, channel: Channel) -> tuple[str, str] | None:
        event = channel.receive(seconds=5)
        match event["event"]:
            case "started":
                if event["cell"] not in self._indexes:
                    raise ValueError("no such cell")
                self._current = self._last_started = event["cell"]
                self._execution.on_cell(self._file, event["cell"])
                # The runner interrupts at the limit. This deadline is for a kernel that ignores the interrupt.
                self._cell_deadline = time.monotonic() + self._limits.cell_seconds + _SECONDS_OF_GRACE
            case "finished":
                if self._execution.outputs is not None and self._current is not None:
                    self._keep_outputs(self._execution.outputs, self._current, event)
                status, message = read_text(event["status"], 40), read_text(event["message"], 1000)
                self._end_cell(status, message, float(event["seconds"]), unpack_stops(event["stops"]))
                if event["cut"]:
                    self._execution.add_limit(
                        f"{self._file}: more than {self._limits.notebook_output_bytes} bytes of output; the rest is cut"
                    )
                self._current = None
                # Checking one snapshot is enough: a cell that kills processes by number also kills this one.
                first = self._execution.snapshots[:1]
                if find_running(first) != first:
                    return "broke the run", "killed or stopped other processes of the run"
                channel.send({"next": True}, seconds=5)
            case "done":
                self._finished = True
        return None

    def _keep_outputs(self, kept: KeptOutputs, cell: int, event: dict[str, Any]) -> None:
        """Keep what a cell showed, and what it updated of earlier cells unless it was run before."""
        kept.keep(self._file, cell, event.get("outputs"))
        if (self._file, cell) not in self._known:
            for earlier, outputs in event.get("updated", ())[: len(self._cells)]:
                kept.update(self._file, int(earlier), outputs)

    def _handle_end(self) -> tuple[str, str] | None:
        message, _ = self._sandbox.orders.receive(seconds=5)
        # The end of the runner is noticed on its own line, after all that it sent.
        if message.get("ended") != self._kernel:
            return None
        if self._sandbox.count_memory_kills() > self._memory_kills:
            return "out of memory", f"needed more than {self._limits.memory_bytes / 2**30:g} GiB"
        status = int(message["status"])
        how = f"exit status {status}" if status >= 0 else f"signal {-status}"
        return "ended the kernel", f"ended the kernel ({how})"

    def _handle_note(self, tracker: Packets, lines: dict[socket.socket, Any]) -> None:
        """Record one note of the tracker. Any code in the kernel can write to this line."""
        note, descriptors = tracker.receive(seconds=5)
        try:
            cell = int(note["cell"])
            if cell not in self._indexes:
                raise ValueError("no such cell")
            match note["note"]:
                case "snapshot" if len(descriptors) == 1:
                    self._add_snapshots(cell, note, descriptors)
                case "imported":
                    for name in set(note["names"]) & set(self._options.names):
                        self._execution.imported[name] = read_text(note["names"][name], 100)
                case "training" if (self._file, cell) not in self._known:
                    if len(self._execution.trainings) < _MAX_TRAININGS:
                        self._execution.trainings.append(read_own_training(self._file, cell, note))
                case "sources":
                    for name in set(note["names"]) & set(self._options.names):
                        file = read_text(note["names"][name], 200)
                        if is_plain_path(file):
                            self._execution.sources[self._file, cell, name] = file
                case "notice":
                    kind, subject = NoticeKind(note["kind"]), read_text(note["subject"], 100)
                    place = cell if kind in _NAMED_ONCE else None
                    self._execution.add_notice(Notice(read_text(note["text"], 300), kind, subject, self._file, place))
                case "value" if (self._file, cell) not in self._known:
                    self._add_value(cell, note, lines, tracker)
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise Malformed(f"a note of the wrong form: {error}") from None
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _add_snapshots(self, cell: int, note: dict[str, Any], descriptors: list[int]) -> None:
        """Add the snapshot that a note offers, and one for each of its checkpoints."""
        pid, at_end = int(note["pid"]), self._select_names(note["at_end"])
        checkpoints = [self._read_checkpoint(*entry) for entry in note["checkpoints"]]
        part, names = self._read_part(note["part"]), frozenset(self._select_names(dict.fromkeys(note["names"], cell)))
        if not 0 < pid < _MAX_NUMBER:
            raise ValueError("no such process")
        if len(self._execution.snapshots) + len(checkpoints) >= MOST_SNAPSHOTS:
            self._execution.add_limit(f"more than {MOST_SNAPSHOTS} definitions; later ones are not judged")
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
            replace(last, cell=place[0], part=place[1], names=bound, at_end={}, checkpoint=place, is_exact=is_exact)
            for place, bound, is_exact in checkpoints
        ]
        self._execution.snapshots += [*earlier, last]

    def _read_checkpoint(
        self, cell: Any, part: Any, names: Any, is_exact: Any
    ) -> tuple[tuple[int, int], frozenset[str], bool]:
        if int(cell) not in self._indexes:
            raise ValueError("no such cell")
        bound = self._select_names(dict.fromkeys(names, cell))
        return (int(cell), self._read_part(part)), frozenset(bound), is_exact is True

    def _select_names(self, cells: dict[str, Any]) -> dict[str, int]:
        """Return the entries for names that items ask for."""
        return {name: int(cell) for name, cell in cells.items() if name in self._options.names}

    @staticmethod
    def _read_part(value: Any) -> int:
        if not 0 < int(value) < _MAX_NUMBER:
            raise ValueError("no such part of a cell")
        return int(value)

    def _add_value(self, cell: int, note: dict[str, Any], lines: dict[socket.socket, Any], tracker: Packets) -> None:
        value = note["value"]
        self._note_bytes += estimate_size(value)
        if len(self._execution.notes) >= _MAX_NOTES or self._note_bytes > _MAX_NOTE_BYTES:
            self._execution.add_limit("more values than can be kept; later ones are not judged")
            lines.pop(tracker.socket, None)
            return
        self._execution.notes.append(RecordedNote(self._file, cell, read_text(note["name"], 200), value))

    def _drain(self, tracker: Packets) -> None:
        """Record the notes that the tracker sent before the end of the run was noticed."""
        for _ in range(MOST_SNAPSHOTS):
            try:
                if not select.select([tracker.socket], [], [], 0)[0]:
                    return
                self._handle_note(tracker, {})
            except (Closed, Malformed, TimeoutError):
                return

    def _end_cell(self, status: str, message: str, seconds: float = 0.0, stops: Sequence[StatementStop] = ()) -> None:
        if self._current is None:
            return
        place = (self._file, self._current)
        if place not in self._known or status in ("ended the kernel", "broke the run"):
            cell = next(cell for cell in self._cells if cell.index == self._current)
            self._execution.cells[place] = describe_cell_end(self._file, cell, status, message, stops)
            self._execution.seconds[place] = seconds
        if status in ("timed out", "out of memory", "flooded"):
            self._execution.add_limit(f"{Place(*place).describe()}: {status}")

    def _blame(self, status: str, message: str) -> int | None:
        """Record why the run ended, and return the cell to blame. Return None if another run would not help."""
        if self._last_started is None and self._known:
            # The first kernel did start, so something that a cell left behind prevents this one from starting.
            self._execution.add_limit(f"{self._file}: no other kernel could be started after what a cell left behind")
            return None
        if self._last_started is None:
            raise SandboxFault(f"the kernel did not start: {message}")
        self._current = self._last_started  # if no cell was running, it was the one before
        self._end_cell(status, message)
        return self._last_started

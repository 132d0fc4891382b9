"""The watcher in the student's kernel: notes what each statement defined, and forks a snapshot where it matters.

It runs in the student's process, so the student can break or fool it. Nothing is gained by that: what it sends is
data about the student's own work, which the student could have made by writing that work.
"""

from __future__ import annotations

import _thread
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from functools import partial
from typing import Any

from grader.models.modules import find_module_name
from grader.models.recipe import Mode
from grader.sandbox.guest.checkpoint import Checkpoint, fingerprint
from grader.sandbox.guest.objects import read_small_value
from grader.sandbox.guest.snapshot import TRAINED, serve_snapshot
from grader.sandbox.guest.trainings.cutoff import TrainingCut
from grader.sandbox.guest.trainings.diagnosis import diagnose
from grader.sandbox.guest.trainings.hooks import TrainingHooks
from grader.sandbox.guest.trainings.loop import TrainingLoop
from grader.sandbox.protocol.channels import Packets
from grader.sandbox.protocol.encoding import Closed

__all__ = ["DefinitionTracker"]

_NOTHING = object()
_MAX_VALUES = 64
_MAX_LOSSES = 100


class DefinitionTracker:
    """Watches one kernel; `order` names what to watch and which snapshots need not be taken again.

    IPython runs a cell statement by statement, and so it is watched: a later statement may rebind what an earlier one
    made, or never end.
    """

    def __init__(self, shell: Any, connection: socket.socket, order: dict[str, Any]) -> None:
        self._shell = shell
        self._packets = Packets(connection)
        self._names: tuple[str, ...] = order["names"]
        self._variables = frozenset(order["variables"])
        self._packages = re.compile(order["packages_pattern"])
        self._kept = {tuple(place) for place in order["kept"]}
        self._moments: dict[tuple[int, int], tuple[tuple[str, ...], Checkpoint]] | None = (
            {} if order["deferred_snapshots"] else None
        )
        self._seen: dict[str, Any] = {}
        self._values: dict[str, Any] = {}
        self._defined_in: dict[str, int] = {}
        self._cell: int | None = None
        self._part = 0  # of the cell
        self._looked = False  # at every value, after the cell's last statement
        self._mode = Mode(order["mode"])
        self._cell_seconds: float = order["cell_seconds"]
        self._cell_started = time.monotonic()
        self._recorder: TrainingHooks | None = None

    def watch(self, recorder: TrainingHooks | None = None) -> None:
        """Begin with the next cell; trainings are followed where there is a recorder."""
        run_statement = self._shell.run_code
        self._recorder = recorder

        async def run_and_look(code: Any, result: Any = None, **options: Any) -> Any:
            with self._followed() as loops:
                failed = await run_statement(code, result, **options)
            if result is not None and isinstance(result.error_in_exec, TrainingCut):
                result.error_in_exec, failed = None, False
            self._look(trained=loops)
            return failed

        self._shell.run_code = run_and_look
        self._shell.set_custom_exc((TrainingCut,), _say)
        self._shell.events.register("pre_run_cell", self._before_cell)
        self._shell.events.register("post_run_cell", self._after_cell)

    def notice(self, text: str) -> None:
        """Say something that belongs into the report."""
        with suppress(Closed, TimeoutError, KeyError):
            self._packets.send({"note": "notice", "cell": self._place()["cell"], "text": text})

    def _followed(self) -> Any:
        if self._recorder is None:
            return nullcontext([])
        return self._recorder.statement(self._cell_started, self._cell_seconds)

    def _before_cell(self, _: Any) -> None:
        if self._recorder is None or not self._recorder.follows:  # a magic may run a cell inside a cell
            self._cell_started = time.monotonic()

    def _after_cell(self, result: Any) -> None:
        self._look(result)

    def _place(self) -> dict[str, Any]:
        place: dict[str, Any] = self._shell.kernel.get_parent().get("metadata", {})
        return place

    def _look(self, result: Any = None, trained: Sequence[TrainingLoop] = ()) -> None:
        """Note what is new, and take a snapshot where it was asked for."""
        if "cell" not in self._place():
            return
        cell = self._place()["cell"]
        if cell != self._cell:
            self._cell, self._part = cell, 0
        nothing_ran = result is not None and self._looked
        written, imported = ((), {}) if nothing_ran else self._new_definitions()
        self._defined_in.update(dict.fromkeys(written, cell))
        try:
            for name, value in self._new_values(result, nothing_ran):
                self._packets.send({"note": "value", "cell": cell, "name": name, "value": value})
            if imported:
                self._packets.send({"note": "imported", "cell": cell, "names": imported})
            kept_trained = [loop.module for loop in trained if self._mode is Mode.FULL]
            if written or kept_trained:
                self._part += 1
                if self._moments is not None:
                    self._moments[cell, self._part] = (written, Checkpoint(self._names, self._shell.user_ns))
                elif (cell, self._part) not in self._kept:
                    self._snapshot(cell, written, kept_trained)
            for number, loop in enumerate(trained):
                self._packets.send(self._training(cell, number, loop))
        except (Closed, TimeoutError, TypeError):
            return

    def _new_definitions(self) -> tuple[tuple[str, ...], dict[str, str]]:
        """Return the asked-for names bound or changed since the last look: the student's own, and mere imports."""
        written: list[str] = []
        imported: dict[str, str] = {}
        namespace = self._shell.user_ns
        for name in self._names:
            thing = namespace.get(name, _NOTHING)
            if thing is _NOTHING and name not in self._seen:
                continue
            mark = fingerprint(thing)
            if self._seen.get(name) == mark:
                continue
            self._seen[name] = mark
            self._defined_in.pop(name, None)
            if name in self._variables:
                written += [name] if thing is not _NOTHING else []
                continue
            module = find_module_name(thing)
            if self._packages.match(module):
                imported[name] = module
            elif callable(thing):
                written.append(name)
        return tuple(written), imported

    def _new_values(self, result: Any, nothing_ran: bool) -> list[tuple[str, Any]]:
        """Return the small values that changed since the last look, the displayed one under the name "_"."""
        found: list[tuple[str, Any]] = []
        shown = read_small_value(getattr(result, "result", None))
        if shown is not None:
            found.append(("_", shown))
        if nothing_ran:
            return found
        self._looked = True
        for name, thing in list(self._shell.user_ns.items()):
            if name.startswith("_") or name in _SHELL_NAMES:
                continue
            value = read_small_value(thing)
            if value is not None and self._values.get(name) != value:
                if len(found) == _MAX_VALUES:
                    self._looked = False
                    break  # the rest is noted at the next look
                self._values[name] = value
                found.append((name, value))
        return found

    def _training(self, cell: int, number: int, loop: TrainingLoop) -> dict[str, Any]:
        """Return the note on a training; `part` and `number` lead to the trained model in the snapshot after it."""
        seen = loop.trajectory
        every = max(1, -(-len(seen.losses) // _MAX_LOSSES))
        return {
            "note": "training",
            "cell": cell,
            "part": self._part if self._mode is Mode.FULL else 0,
            "number": number,
            "model": seen.model,
            "parameters": seen.parameters,
            "size": seen.size,
            "pixels": (seen.lowest, seen.highest),
            "steps": seen.steps,
            "epochs": seen.epochs if self._mode is Mode.FULL else None,
            "planned_epochs": seen.planned_epochs,
            "optimizer": seen.optimizer,
            "lr": seen.lr,
            "findings": diagnose(seen),
            "ended": seen.ended,
            "losses": tuple(seen.losses[::every]),
        }

    def _snapshot(self, cell: int, names: tuple[str, ...], trained: Sequence[Any]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            self._become_snapshot(theirs, trained)
        theirs.close()
        self._tell_of_snapshot(ours, pid, cell, names, at_end={})

    def end(self, cell: int) -> Callable[[], None]:
        """Tell of the snapshot of the end, after the last cell; return what makes this process become it.

        A process that still has threads is forked, for only its fork has none. Where nobody can be told of it there is
        no snapshot, and this process goes on: its end would be taken for the last cell's doing.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._part += 1
        try:
            pid = os.fork() if _thread._count() else os.getpid()
            if pid == 0:
                self._become_snapshot(theirs)
            self._tell_of_snapshot(ours, pid, cell, (), self._defined_in)
        except Exception:  # whatever the student's objects do when they are looked at
            pid = 0
        if pid == os.getpid():
            return partial(self._become_snapshot, theirs)
        theirs.close()
        return lambda: None

    def _become_snapshot(self, connection: socket.socket, trained: Sequence[Any] = ()) -> None:
        try:
            namespace = self._shell.user_ns
            kept = {place: moment for place, (_, moment) in (self._moments or {}).items()}
            serve_snapshot(connection, {**namespace, TRAINED: trained} if trained else namespace, kept)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)

    def _tell_of_snapshot(
        self, line: socket.socket, pid: int, cell: int, names: tuple[str, ...], at_end: dict[str, int]
    ) -> None:
        moments = (self._moments or {}).items()
        told = tuple((*place, names_then, moment.same()) for place, (names_then, moment) in moments)
        note = {"note": "snapshot", "cell": cell, "part": self._part, "names": names, "at_end": at_end, "pid": pid}
        with line:
            self._packets.send({**note, "checkpoints": told}, (line.fileno(),))


def _say(_shell: Any, _kind: Any, cut: BaseException, *_: Any, **__: Any) -> None:
    sys.stdout.write(f"{cut}\n")


_SHELL_NAMES = {"In", "Out", "exit", "quit", "get_ipython", "open"}

"""The definition tracker: notes what each statement of a notebook defined, and forks snapshots.

It runs in the student's process, so the student can break or fool it. That gains nothing: what it sends is data about
the student's own work, and the student could have written that work.
"""

from __future__ import annotations

import _thread
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from grader.models.modules import find_module_name
from grader.models.recipe import Mode
from grader.sandbox.guest.candidates import CandidateLog
from grader.sandbox.guest.cell_calls import compile_calls
from grader.sandbox.guest.cell_files import CellFiles
from grader.sandbox.guest.checkpoint import Checkpoint, fingerprint
from grader.sandbox.guest.host_copies import HostCopies
from grader.sandbox.guest.internals.ipykernel import mute
from grader.sandbox.guest.internals.ipython import wrap_statements
from grader.sandbox.guest.objects import read_small_value
from grader.sandbox.guest.own_modules import find_source_file
from grader.sandbox.guest.snapshot import TRAINED, SnapshotCalls
from grader.sandbox.guest.surroundings.stand_in import find_missing_package
from grader.sandbox.guest.trainings.cutoff import TrainingCut, TrainingLeftOut
from grader.sandbox.guest.trainings.diagnosis import diagnose
from grader.sandbox.guest.trainings.hooks import TrainingHooks
from grader.sandbox.guest.trainings.left_out import LeftOutTrainings
from grader.sandbox.guest.trainings.loop import TrainingLoop
from grader.sandbox.guest.without_device import go_on_without_device
from grader.sandbox.protocol.channels import Packets
from grader.sandbox.protocol.encoding import Closed

__all__ = ["DefinitionTracker"]

_NOTHING = object()
_MAX_VALUES = 64
_MAX_LOSSES = 100
_SHELL_NAMES = {"In", "Out", "exit", "quit", "get_ipython", "open"}


class DefinitionTracker:
    """Tracks the definitions of one kernel.

    IPython runs a cell statement by statement, and the tracker looks after each: a later statement may rebind what an
    earlier one made, or never end.

    Args:
        shell: IPython's.
        connection: leads to the trusted side.
        order: which names to track, and which snapshots exist already (`host/kernel_run.py`).
        files: the cells that code stands in.
    """

    def __init__(self, shell: Any, connection: socket.socket, order: dict[str, Any], files: CellFiles) -> None:
        self._shell = shell
        self._files = files
        self._packets = Packets(connection)
        self._names: tuple[str, ...] = order["names"]
        self._variables = frozenset(order["variables"])
        self._packages = re.compile(order["packages_pattern"])
        self._known_snapshots = {tuple(place) for place in order["kept"]}
        # By cell and part; None if each definition gets a snapshot at once.
        self._checkpoints: dict[tuple[int, int], tuple[tuple[str, ...], Checkpoint]] | None = (
            {} if order["deferred_snapshots"] else None
        )
        self._candidates = CandidateLog()
        self._fingerprints: dict[str, Any] = {}
        self._values: dict[str, Any] = {}
        self._defined_in: dict[str, int] = {}
        self._home = Path.cwd()
        self._cell: int | None = None
        self._part = 0  # of the cell; counts its definitions
        self._is_up_to_date = False  # nothing ran since all values were read
        self._mode = Mode(order["mode"])
        self._cell_seconds: float = order["cell_seconds"]
        self._cell_started = time.monotonic()
        self._left_out: LeftOutTrainings | None = None
        self._hooks: TrainingHooks | None = None
        self._copies: HostCopies | None = None
        self._calls: SnapshotCalls | None = None  # to make in this process once it is a snapshot

    def watch(self, left_out: LeftOutTrainings | None = None, hooks: TrainingHooks | None = None) -> None:
        """Begin with the next cell. `left_out` ends trainings, and `hooks` follow them."""
        self._left_out, self._hooks = left_out, hooks
        wrap_statements(self._shell, self._wrap_statement)
        self._shell.set_custom_exc((TrainingCut,), _print_cut)
        self._shell.events.register("pre_run_cell", self._before_cell)
        self._shell.events.register("post_run_cell", self._after_cell)

    def keep_on_host(self, copies: HostCopies) -> None:
        """Let snapshots have what the notebook has on a device."""
        self._copies = copies

    def _wrap_statement(self, run_statement: Callable[..., Any]) -> Callable[..., Any]:
        async def run_and_look(code: Any, result: Any = None, **options: Any) -> Any:
            if self._calls is not None:
                return await run_statement(compile_calls(self._calls, code.co_filename), result)
            with self._follow_trainings() as loops:
                failed = await run_statement(code, result, **options)
            cut = result.error_in_exec if result is not None else None
            if isinstance(cut, TrainingCut) and not isinstance(cut, TrainingLeftOut):
                result.error_in_exec, failed = None, False
            self._look(trained=loops)
            if self._calls is not None:
                await run_statement(compile_calls(self._calls, code.co_filename), result)
            return failed

        return run_and_look

    def notice(self, text: str, kind: str = "remark", subject: str = "") -> None:
        """Send a notice for the report; `kind` is one of `results/notice.py`."""
        with suppress(Closed, TimeoutError, KeyError):
            note = {"note": "notice", "cell": self._read_place()["cell"], "text": text}
            self._packets.send({**note, "kind": kind, "subject": subject})

    @contextmanager
    def _follow_trainings(self) -> Iterator[list[TrainingLoop]]:
        with ExitStack() as stack:
            if self._left_out:
                stack.enter_context(self._left_out.statement(self._cell_started, self._cell_seconds))
            hooks = self._hooks
            yield stack.enter_context(hooks.statement(self._cell_started, self._cell_seconds)) if hooks else []

    def _before_cell(self, _: Any) -> None:
        if self._left_out is None or not self._left_out.watches:  # a magic may run a cell inside a cell
            self._cell_started = time.monotonic()

    def _after_cell(self, result: Any) -> None:
        self._look(result)
        if self._calls is not None:
            self._make_calls()

    def _read_place(self) -> dict[str, Any]:
        """Return what the runner sent with the current cell; empty if the cell is not the runner's."""
        place: dict[str, Any] = self._shell.kernel.get_parent().get("metadata", {})
        return place

    def _look(self, result: Any = None, trained: Sequence[TrainingLoop] = ()) -> None:
        """Note what is new, and take a snapshot or a checkpoint if something is.

        Args:
            result: IPython's, after a cell; None after a statement.
            trained: the models that the statement trained.
        """
        if "cell" not in self._read_place():
            return
        cell = self._read_place()["cell"]
        if cell != self._cell:
            self._cell, self._part = cell, 0
        nothing_ran = result is not None and self._is_up_to_date
        written, imported = ((), {}) if nothing_ran else self._find_definitions()
        self._defined_in.update(dict.fromkeys(written, cell))
        if self._names and not nothing_ran:
            self._candidates.look(self._shell.user_ns, cell)
        try:
            for name, value in self._find_values(result, nothing_ran):
                self._packets.send({"note": "value", "cell": cell, "name": name, "value": value})
            if sources := self._find_source_files(written):
                self._packets.send({"note": "sources", "cell": cell, "names": sources})
            if imported:
                self._packets.send({"note": "imported", "cell": cell, "names": imported})
            models = [loop.module for loop in trained if self._mode is Mode.FULL]
            if written or models:
                self._part += 1
                if self._checkpoints is not None:
                    self._checkpoints[cell, self._part] = (written, Checkpoint(self._names, self._shell.user_ns))
                elif (cell, self._part) not in self._known_snapshots:
                    self._take_snapshot(cell, written, models)
            if self._calls is not None:
                return
            for number, loop in enumerate(trained):
                self._packets.send(self._describe_training(cell, number, loop))
        except (Closed, TimeoutError, TypeError):
            return

    def _find_definitions(self) -> tuple[tuple[str, ...], dict[str, str]]:
        """Return the tracked names that were bound or changed since the last look.

        The first part of the result are the student's own definitions, the second are imports with their modules.
        """
        written: list[str] = []
        imported: dict[str, str] = {}
        namespace = self._shell.user_ns
        for name in self._names:
            value = namespace.get(name, _NOTHING)
            if value is _NOTHING and name not in self._fingerprints:
                continue
            mark = fingerprint(value)
            if self._fingerprints.get(name) == mark:
                continue
            self._fingerprints[name] = mark
            self._defined_in.pop(name, None)
            if name in self._variables:
                written += [name] if value is not _NOTHING else []
                continue
            module = find_module_name(value)
            if missing := find_missing_package(value):
                imported[name] = missing
            elif self._packages.match(module):
                imported[name] = module
            elif callable(value):
                written.append(name)
        return tuple(written), imported

    def _find_source_files(self, names: Sequence[str]) -> dict[str, str]:
        """Return the files that these definitions were imported from, for those that do not stand in the notebook."""
        try:
            files = {name: find_source_file(self._shell.user_ns[name], self._home) for name in names}
        except Exception:  # whatever a student's object does when it is looked at
            return {}
        return {name: file for name, file in files.items() if file}

    def _find_values(self, result: Any, nothing_ran: bool) -> list[tuple[str, Any]]:
        """Return the small values that changed since the last look, the displayed one under the name "_"."""
        found: list[tuple[str, Any]] = []
        shown = read_small_value(getattr(result, "result", None))
        if shown is not None:
            found.append(("_", shown))
        if nothing_ran:
            return found
        self._is_up_to_date = True
        for name, item in list(self._shell.user_ns.items()):
            if name.startswith("_") or name in _SHELL_NAMES:
                continue
            value = read_small_value(item)
            if value is not None and self._values.get(name) != value:
                if len(found) == _MAX_VALUES:
                    self._is_up_to_date = False
                    break  # the next look finds the rest
                self._values[name] = value
                found.append((name, value))
        return found

    def _describe_training(self, cell: int, number: int, loop: TrainingLoop) -> dict[str, Any]:
        """Return the note on a training. Its `part` and `number` lead to the trained model in the next snapshot."""
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

    def _take_snapshot(self, cell: int, names: tuple[str, ...], trained: Sequence[Any]) -> None:
        trusted_end, own_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sys.stdout.flush()
        pid = self._fork()
        if pid == 0:
            mute(self._shell.kernel)
            self._become_snapshot(own_end, trained)
            return
        own_end.close()
        self._announce_snapshot(trusted_end, pid, cell, names, at_end={})

    def _fork(self) -> int:
        """Fork, and leave the device behind in the fork, which cannot use it. Return as `os.fork`."""
        if self._copies is None:
            return os.fork()
        with suppress(Exception):  # whatever a notebook did to it, the cell goes on
            self._copies.take()
        pid = os.fork()
        if pid == 0:
            try:
                go_on_without_device(self._copies, self._shell.user_ns)
            except BaseException:  # the fork must not go on with the cell
                os._exit(1)
        return pid

    def end(self, cell: int) -> Callable[[], None] | None:
        """Announce the snapshot of the notebook's end, and turn this process into it.

        The snapshot's calls are made in the place of the next statement; what is returned makes them at once.

        A process that still has threads is forked instead, because only the fork has none; so is one with a GPU, whose
        driver has threads and descriptors of its own: it ends, and gives the GPU's memory back. If the trusted side
        cannot be reached there is no snapshot and this process goes on: its end would be blamed on the last cell.

        Args:
            cell: the last one.
        """
        trusted_end, own_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._part += 1
        pid = self._fork() if _thread._count() or self._copies is not None else os.getpid()
        is_snapshot = pid in (0, os.getpid())
        if pid:
            try:
                self._announce_snapshot(trusted_end, pid, cell, (), self._defined_in)
            except Exception:  # whatever the student's objects do when they are looked at
                is_snapshot = False
        if not is_snapshot:
            own_end.close()
            return None
        self._become_snapshot(own_end)
        return self._make_calls

    def _make_calls(self) -> None:
        assert self._calls is not None
        exec(compile_calls(self._calls, __file__), self._shell.user_ns)

    def _become_snapshot(self, connection: socket.socket, trained: Sequence[Any] = ()) -> None:
        self._packets.close()  # its number may soon be another line's
        namespace = self._shell.user_ns
        checkpoints = {place: checkpoint for place, (_, checkpoint) in (self._checkpoints or {}).items()}
        namespace = {**namespace, TRAINED: trained} if trained else namespace
        self._calls = SnapshotCalls(connection, namespace, checkpoints, self._candidates, self._files)

    def _announce_snapshot(
        self, connection: socket.socket, pid: int, cell: int, names: tuple[str, ...], at_end: dict[str, int]
    ) -> None:
        checkpoints = (self._checkpoints or {}).items()
        listed = tuple((*place, written, checkpoint.is_exact()) for place, (written, checkpoint) in checkpoints)
        note = {"note": "snapshot", "cell": cell, "part": self._part, "names": names, "at_end": at_end, "pid": pid}
        with connection:
            self._packets.send({**note, "checkpoints": listed}, (connection.fileno(),))


def _print_cut(_shell: Any, _kind: Any, cut: BaseException, *_: Any, **__: Any) -> None:
    sys.stdout.write(f"({cut})\n")

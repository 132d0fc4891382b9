"""What is left of a submission when its cells have been run: a way into each state, in processes of their own."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import islice

from grader.sandbox.host.decoding import read_tensor
from grader.sandbox.host.execution import Execution, Snapshot
from grader.sandbox.host.snapshot_process import SnapshotProcess
from grader.sandbox.host.snapshot_student import SnapshotRemote, SnapshotStudent
from grader.sandbox.protocol.encoding import Array
from grader.sandbox.protocol.limits import Limits
from grader.student import Definition, Fault, OwnTraining, Recorded, StudentFault

__all__ = ["SnapshotWork"]

_MOST_CANDIDATES = 32  # of one state
_MOST_SHARED = 3  # processes that wait for the next test; each has some 10 MB of its own


class SnapshotWork:
    """A submission whose cells have been run: its definitions, values, and a way into each state."""

    def __init__(self, execution: Execution, names: Sequence[str], limits: Limits, seed: int) -> None:
        self._execution = execution
        self._names = frozenset(names)
        self._limits = limits
        self._seed = seed
        self._deadline = time.monotonic() + limits.judge_seconds
        self._recorded = tuple(_recorded(execution))
        self._snapshots = _definitions(execution)
        self._shared: dict[int, SnapshotProcess] = {}  # by the number of the snapshot's line, the latest last

    def close(self) -> None:
        """End the processes that tests shared."""
        for process in self._shared.values():
            process.close()
        self._shared.clear()

    def definitions(self, names: Sequence[str]) -> Sequence[Definition]:
        """Return the moments at which one of these names was bound to something the student wrote, in order."""
        wanted = frozenset(names)
        return [definition for definition in self._snapshots if definition.names & wanted]

    def imported_from(self, name: str) -> str | None:
        """Return the package a name was merely imported from."""
        return self._execution.imported.get(name)

    def candidates(self, filled_in: Sequence[str]) -> Sequence[tuple[Definition, str]]:
        """Return callables and models of each notebook's last state."""
        given = set(map(_plain, filled_in))
        return [
            candidate
            for definition, names in self._own
            for candidate in islice(((definition, name) for name, needs in names if needs <= given), _MOST_CANDIDATES)
        ]

    @cached_property
    def _own(self) -> Sequence[tuple[Definition, Sequence[tuple[str, frozenset[str]]]]]:
        """For each notebook's last state the student's own callables and models, with the parameters they require."""
        last = {
            snapshot.file: Definition(snapshot.file, snapshot.cell, snapshot.names, snapshot.part)
            for snapshot in self._execution.snapshots
        }
        found = []
        for definition in last.values():
            try:
                with self.open(definition, shared=True) as student:
                    names = [(name, frozenset(map(_plain, required))) for name, required in student.names()]
            except StudentFault:
                continue  # a state that cannot even list its names has nothing to offer
            found.append((definition, names))
        return found

    def trainings(self) -> Sequence[OwnTraining]:
        """Return what the notebooks' own training loops did, in order."""
        return tuple(self._execution.trainings)

    @contextmanager
    def open(
        self,
        definition: Definition | None,
        aliases: Mapping[str, str] | None = None,
        seconds: float | None = None,
        *,
        shared: bool = False,
    ) -> Iterator[SnapshotStudent]:
        """Open a state in a process of its own, or in one that tests share; None opens recorded values only."""
        snapshot = None if definition is None else self._snapshots[definition]
        with self._opened(snapshot, aliases or {}, seconds, shared) as student:
            yield student

    @contextmanager
    def trained(self, training: OwnTraining, seconds: float | None = None) -> Iterator[SnapshotRemote]:
        """Open the model as a training left it."""
        place = (training.file, training.cell, training.part)
        snapshot = next((s for s in self._execution.snapshots if (s.file, s.cell, s.part) == place), None)
        if snapshot is None:
            raise StudentFault(Fault.MISSING, "the trained model is not there")
        with self._opened(snapshot, {}, seconds) as student:
            model = student.ask({"operation": "trained", "number": training.number})
            if not isinstance(model, SnapshotRemote):
                raise StudentFault(Fault.MALFORMED, "the trained model is no model")
            yield model

    @contextmanager
    def _opened(
        self, snapshot: Snapshot | None, aliases: Mapping[str, str], seconds: float | None, shared: bool = False
    ) -> Iterator[SnapshotStudent]:
        granted = min(self._limits.test_seconds, self._deadline - time.monotonic())
        if granted <= 0:
            raise StudentFault(Fault.TIMED_OUT, f"all tests together ran past their {self._limits.judge_seconds:g} s")
        life = max(granted, seconds or 0)
        process, used = self._process(snapshot, aliases, life, shared), False
        if process is None:
            # Twice the time that this one has, so that others can follow it.
            process = SnapshotProcess(snapshot, aliases, 2 * life if shared else life, self._limits, self._seed)
        else:
            used = True
        end = time.monotonic() + life
        early = shared and not aliases  # where what goes wrong is tried once more
        student = SnapshotStudent(process.channel, granted, end, self._names, self._recorded, used, early)
        try:
            yield student
        finally:
            self._deadline += student.waited
            if shared and snapshot is not None and not student.changed:
                self._keep(snapshot, process)
            else:
                process.close()

    def _process(
        self, snapshot: Snapshot | None, aliases: Mapping[str, str], life: float, shared: bool
    ) -> SnapshotProcess | None:
        """Return a shared process of this state that may live for so many seconds, None where there is none."""
        found = self._shared.pop(id(snapshot.packets), None) if shared and snapshot else None
        if found and snapshot and not found.begins(snapshot, aliases, life):
            found.close()
            return None
        return found

    def _keep(self, snapshot: Snapshot, process: SnapshotProcess) -> None:
        self._shared[id(snapshot.packets)] = process
        if len(self._shared) > _MOST_SHARED:
            self._shared.pop(next(iter(self._shared))).close()


def _definitions(execution: Execution) -> dict[Definition, Snapshot]:
    """Return each definition's snapshot: as it stood when it was made, and after that as it stood at the end."""
    when_made = {Definition(s.file, s.cell, s.names, s.part): s for s in execution.snapshots}
    at_end = {
        Definition(s.file, cell, frozenset(n for n, at in s.at_end.items() if at == cell), at_end=True): s
        for s in execution.snapshots
        for cell in sorted(set(s.at_end.values()))
    }
    return when_made | at_end


def _recorded(execution: Execution) -> Iterator[Recorded]:
    for note in execution.notes:
        value = note.value
        if isinstance(value, Array):
            yield Recorded(note.file, note.cell, note.name, read_tensor(value))
        elif isinstance(value, tuple) and all(type(entry) is int for entry in value):
            yield Recorded(note.file, note.cell, note.name, value)
        elif isinstance(value, dict) and all(isinstance(entry, Array) for entry in value.values()):
            yield Recorded(note.file, note.cell, note.name, {name: read_tensor(a) for name, a in value.items()})


def _plain(parameter: str) -> str:
    return parameter.replace("_", "").lower()

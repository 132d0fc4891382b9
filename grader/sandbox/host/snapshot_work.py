"""The work of a submission whose cells have been run: its states, opened in processes of their own."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property

from grader.sandbox.host.execution import Execution, Snapshot
from grader.sandbox.host.snapshot_process import SnapshotProcess
from grader.sandbox.host.snapshot_student import SnapshotRemote, SnapshotStudent
from grader.sandbox.protocol.encoding import Array
from grader.sandbox.protocol.limits import Limits
from grader.sandbox.protocol.tensors import array_to_tensor
from grader.student import Candidate, Definition, Fault, OwnTraining, Recorded, StudentFault

__all__ = ["SnapshotWork"]

_MOST_SHARED = 3  # processes that wait for the next test; each takes about 10 MB


class SnapshotWork:
    """A submission whose cells have been run: its definitions and values, and access to each state.

    Args:
        execution: the results of running the cells.
        names: every name that some item asks for.
        limits: the assignment's limits.
        seed: the seed of the processes' random generators.
    """

    def __init__(self, execution: Execution, names: Sequence[str], limits: Limits, seed: int) -> None:
        self._execution = execution
        self._names = frozenset(names)
        self._limits = limits
        self._seed = seed
        self._deadline = time.monotonic() + limits.judge_seconds
        self._recorded = tuple(_decode_notes(execution))
        self._snapshots = _index_snapshots(execution)
        self._candidate_snapshots: dict[Definition, Snapshot] = {}
        self._shared: dict[int, SnapshotProcess] = {}  # by the identity of the snapshot's line, the latest last

    def close(self) -> None:
        """End the processes that tests share."""
        for process in self._shared.values():
            process.close()
        self._shared.clear()

    def definitions(self, names: Sequence[str]) -> Sequence[Definition]:
        """Return the definitions by which one of these names was bound to something the student wrote, in order."""
        requested = frozenset(names)
        return [definition for definition in self._snapshots if definition.names & requested]

    def imported_from(self, name: str) -> str | None:
        """Return the package from which a name was imported, or None if it was not only imported."""
        return self._execution.imported.get(name)

    def candidates(self) -> Sequence[Candidate]:
        """Return the models, classes and functions that global names were bound to, in order."""
        return self._candidates

    @cached_property
    def _candidates(self) -> Sequence[Candidate]:
        last = {snapshot.file: snapshot for snapshot in self._execution.snapshots}
        candidates: list[Candidate] = []
        for snapshot in last.values():
            try:
                with self._open_snapshot(snapshot, {}, None, shared=True) as student:
                    listed = student.candidates()
            except StudentFault:
                continue  # a state that cannot even list its candidates has nothing to offer
            for candidate, number in listed:
                if (snapshot.file, candidate.definition.cell) in self._execution.cells:
                    located = replace(candidate, definition=replace(candidate.definition, file=snapshot.file))
                    self._candidate_snapshots[located.definition] = replace(snapshot, candidate=number)
                    candidates.append(located)
        return candidates

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
        at_most: float | None = None,
    ) -> Iterator[SnapshotStudent]:
        """Open a state in a new process, or in one that tests share if `shared`; None opens recorded values only."""
        snapshot = None if definition is None else self._get_snapshot(definition)
        with self._open_snapshot(snapshot, aliases or {}, seconds, shared, at_most) as student:
            yield student

    def _get_snapshot(self, definition: Definition) -> Snapshot:
        candidate = self._candidate_snapshots.get(definition)
        return candidate or self._snapshots[definition]

    @contextmanager
    def trained(self, training: OwnTraining, seconds: float | None = None) -> Iterator[SnapshotRemote]:
        """Open the model as a training left it."""
        place = (training.file, training.cell, training.part)
        snapshot = next((s for s in self._execution.snapshots if (s.file, s.cell, s.part) == place), None)
        if snapshot is None:
            raise StudentFault(Fault.MISSING, "the trained model is not there")
        with self._open_snapshot(snapshot, {}, seconds) as student:
            model = student.ask({"operation": "trained", "number": training.number})
            if not isinstance(model, SnapshotRemote):
                raise StudentFault(Fault.MALFORMED, "the trained model is no model")
            yield model

    @contextmanager
    def _open_snapshot(
        self,
        snapshot: Snapshot | None,
        aliases: Mapping[str, str],
        seconds: float | None,
        shared: bool = False,
        at_most: float | None = None,
    ) -> Iterator[SnapshotStudent]:
        started = time.monotonic()
        granted = min(self._limits.test_seconds, self._deadline - started if at_most is None else at_most)
        if granted <= 0:
            raise StudentFault(Fault.TIMED_OUT, f"all tests together ran past their {self._limits.judge_seconds:g} s")
        life = max(granted, seconds or 0)
        process = self._take_shared(snapshot, aliases, life) if shared and snapshot else None
        used = process is not None
        if process is None:
            # A shared process lives twice as long, so that other tests can follow this one.
            process = SnapshotProcess(snapshot, aliases, 2 * life if shared else life, self._limits, self._seed)
        end = time.monotonic() + life
        calls_ahead = shared and not aliases  # because a test that fails there is run again in a new process
        student = SnapshotStudent(process.channel, granted, end, self._names, self._recorded, used, calls_ahead)
        try:
            yield student
        finally:
            self._deadline += student.waited if at_most is None else time.monotonic() - started
            if shared and snapshot is not None and not student.changed:
                self._share(snapshot, process)
            else:
                process.close()

    def _take_shared(self, snapshot: Snapshot, aliases: Mapping[str, str], seconds: float) -> SnapshotProcess | None:
        """Return a shared process of this state that has `seconds` left, or None if there is none."""
        process = self._shared.pop(id(snapshot.packets), None)
        if process and not process.reset(snapshot, aliases, seconds):
            process.close()
            return None
        return process

    def _share(self, snapshot: Snapshot, process: SnapshotProcess) -> None:
        self._shared[id(snapshot.packets)] = process
        if len(self._shared) > _MOST_SHARED:
            self._shared.pop(next(iter(self._shared))).close()


def _index_snapshots(execution: Execution) -> dict[Definition, Snapshot]:
    """Return the snapshot of each definition: first the states when they were made, then those at the end."""

    def define(file: str, cell: int, names: frozenset[str], part: int = 0, at_end: bool = False) -> Definition:
        places = {name: (file, cell, name) for name in names}
        sources = {name: execution.sources[place] for name, place in places.items() if place in execution.sources}
        return Definition(file, cell, names, part, at_end, sources=sources)

    when_made = {define(s.file, s.cell, s.names, s.part): s for s in execution.snapshots}
    at_end = {
        define(s.file, cell, frozenset(n for n, at in s.at_end.items() if at == cell), at_end=True): s
        for s in execution.snapshots
        for cell in sorted(set(s.at_end.values()))
    }
    return when_made | at_end


def _decode_notes(execution: Execution) -> Iterator[Recorded]:
    for note in execution.notes:
        value = note.value
        if isinstance(value, Array):
            yield Recorded(note.file, note.cell, note.name, array_to_tensor(value))
        elif isinstance(value, tuple) and all(type(entry) is int for entry in value):
            yield Recorded(note.file, note.cell, note.name, value)
        elif isinstance(value, dict) and all(isinstance(entry, Array) for entry in value.values()):
            yield Recorded(note.file, note.cell, note.name, {name: array_to_tensor(a) for name, a in value.items()})

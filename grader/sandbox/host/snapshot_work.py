"""The work of a submission whose cells have been run: its states, opened in processes of their own."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property, partial

from grader.models.rerun import Substitution
from grader.models.stand_ins import StandIns
from grader.sandbox.host.execution import Execution, Snapshot
from grader.sandbox.host.faults import FaultReader
from grader.sandbox.host.replay import RecordedTest, answers_the_same, choose_tests
from grader.sandbox.host.reruns import RERUN_SECONDS, choose_all_cells, choose_cells, record_again, rerun
from grader.sandbox.host.slot import Slot
from grader.sandbox.host.snapshot_process import SnapshotProcess
from grader.sandbox.host.snapshot_remote import SnapshotRemote
from grader.sandbox.host.snapshot_student import SnapshotStudent
from grader.sandbox.protocol.encoding import Array
from grader.sandbox.protocol.limits import Limits
from grader.sandbox.protocol.tensors import array_to_tensor
from grader.student import Candidate, Definition, Fault, OwnTraining, Recorded, Rerun, StudentFault
from grader.submission.submission import Notebook

__all__ = ["SnapshotWork"]

_MOST_RECORDED = 500  # tests
_SECONDS_TO_REPEAT = 60.0
_MOST_SHARED = 3  # processes that wait for the next test; each takes about 10 MB


class SnapshotWork:
    """A submission whose cells have been run: its definitions and values, and access to each state.

    Args:
        execution: the results of running the cells.
        names: every name that some item asks for.
        limits: the assignment's limits.
        seed: the seed of the processes' random generators.
        notebooks: the notebooks that were run, for running their cells again.
        slot: the time of the submission in all; None if it begins now.
    """

    def __init__(
        self,
        execution: Execution,
        names: Sequence[str],
        limits: Limits,
        seed: int,
        notebooks: Sequence[Notebook] = (),
        slot: Slot | None = None,
    ) -> None:
        self._execution = execution
        self._names = frozenset(names)
        self._limits = limits
        self._seed = seed
        self._notebooks = {notebook.name: notebook for notebook in notebooks}
        self._rerun_seconds = RERUN_SECONDS  # that are left
        self._deadline = time.monotonic() + limits.judge_seconds
        self._slot = slot or Slot(limits.slot_seconds)
        self._recorded = tuple(_decode_notes(execution))
        self._snapshots = _index_snapshots(execution)
        self._candidate_snapshots: dict[Definition, Snapshot] = {}
        # By the identity of the snapshot's line, the latest last: processes for the next test, and those that have run
        # cells again, which can do nothing else any more.
        self._shared: dict[int, SnapshotProcess] = {}
        self._rerunning: dict[int, SnapshotProcess] = {}
        # By the names of the stand-ins, with how often each was asked and how many questions had no answer.
        self._recorded_again: dict[frozenset[str], tuple[tuple[Recorded, ...], Counter[str], int]] = {}
        self._tests: list[RecordedTest] = []

    def close(self) -> None:
        """End the processes that tests share."""
        for processes in (self._shared, self._rerunning):
            for process in processes.values():
                process.close()
            processes.clear()

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
        record = None
        if snapshot is not None and len(self._tests) < _MOST_RECORDED:
            record = RecordedTest(snapshot, aliases or {}, is_try=at_most is not None)
            self._tests.append(record)
        with self._open_snapshot(snapshot, aliases or {}, seconds, shared, at_most, record) as student:
            yield student

    @contextmanager
    def open_last(self, definition: Definition, aliases: Mapping[str, str] | None = None) -> Iterator[SnapshotStudent]:
        """Open a state in the snapshot's own process, after which nothing else can be opened."""
        if definition not in self._snapshots and definition not in self._candidate_snapshots:
            self.candidates()
            self.close()
        try:
            snapshot = self._get_snapshot(definition)
        except KeyError:
            raise StudentFault(Fault.MISSING, "is not defined whenever the notebook is run") from None
        with self._open_snapshot(snapshot, aliases or {}, None, last=True) as student:
            yield student

    @contextmanager
    def open_with(
        self,
        definition: Definition | None,
        aliases: Mapping[str, str],
        stand_ins: StandIns,
        seconds: float,
    ) -> Iterator[SnapshotStudent]:
        """Open a state in a new process in which stand-ins are bound in place of some of the student's names.

        Without a definition, the notebooks' cells are run again with them, and what they recorded is offered.

        Args:
            definition: the state.
            aliases: the student's own names for the names that tests ask for.
            stand_ins: answer what the process asks.
            seconds: of a test. The time limit of all tests together stands still meanwhile.
        """
        snapshot = None if definition is None else self._get_snapshot(definition)
        recorded = self._record_again(stand_ins) if definition is None else None
        with self._open_snapshot(
            snapshot, aliases, None, at_most=seconds, recorded=recorded, stand_ins=stand_ins
        ) as student:
            yield student

    def _record_again(self, stand_ins: StandIns) -> tuple[Recorded, ...]:
        """Return the small values that names have if the notebooks run again with stand-ins.

        Several items are tried with the same ones. The notebooks run once for all of them.
        """
        names = frozenset(stand_ins.objects)
        if names not in self._recorded_again:
            recorded = self._run_all_again(stand_ins)
            self._recorded_again[names] = recorded, Counter(stand_ins.asked), stand_ins.unanswered
            return recorded
        recorded, asked, unanswered = self._recorded_again[names]
        stand_ins.asked.update(asked)
        stand_ins.unanswered += unanswered
        return recorded

    def _run_all_again(self, stand_ins: StandIns) -> tuple[Recorded, ...]:
        recorded: list[Recorded] = []
        last = {snapshot.file: snapshot for snapshot in self._execution.snapshots}
        for file, snapshot in last.items():
            cells = choose_all_cells(self._notebooks[file], self._execution)
            with suppress(StudentFault), self._open_for_rerun(snapshot, False, stand_ins) as student:
                recorded += record_again(student, file, cells)
        return tuple(recorded)

    def is_steady(self) -> bool:
        """Return whether the functions respond to the tests' first calls as before in a process that none has used.

        The states cannot be opened any more afterwards: each snapshot becomes that process itself, which costs less
        than a fork and is the process in which the cells ran.
        """
        self.close()
        chosen: dict[int, list[RecordedTest]] = {}
        for test in choose_tests(self._tests):
            chosen.setdefault(id(test.snapshot.packets), []).append(test)
        # Also a submission whose time is over is asked: else it could use it up in order not to be asked.
        deadline = time.monotonic() + max(self._slot.left, _SECONDS_TO_REPEAT)
        return all(time.monotonic() < deadline and self._answers_the_same(tests) for tests in chosen.values())

    def _answers_the_same(self, tests: Sequence[RecordedTest]) -> bool:
        first, life = tests[0], 2 * _SECONDS_TO_REPEAT
        try:
            process = SnapshotProcess(first.snapshot, first.aliases, life, self._limits, self._seed, last=True)
        except StudentFault:
            return False
        try:
            return answers_the_same(process, tests)
        finally:
            process.close()

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
        record: RecordedTest | None = None,
        last: bool = False,
        reruns: bool = False,
        recorded: Sequence[Recorded] | None = None,
        stand_ins: StandIns | None = None,
    ) -> Iterator[SnapshotStudent]:
        started = time.monotonic()
        limit = self._deadline - started if at_most is None else at_most
        granted = min(self._limits.test_seconds, limit, self._slot.left)
        if self._slot.is_over:
            raise StudentFault(Fault.TIMED_OUT, f"the submission ran past its {self._slot.seconds:g} s in all")
        if granted <= 0:
            raise StudentFault(Fault.TIMED_OUT, f"all tests together ran past their {self._limits.judge_seconds:g} s")
        life = max(granted, seconds or 0)
        process = self._take_shared(snapshot, aliases, life, reruns) if shared and snapshot else None
        used = process is not None
        if process is None:
            # A shared process lives longer, so that other tests can follow this one.
            life_of_process = 4 * life if shared else life
            names = stand_ins.objects if stand_ins else ()
            process = SnapshotProcess(
                snapshot, aliases, life_of_process, self._limits, self._seed, last=last, stand_ins=names
            )
        end = time.monotonic() + life
        calls_ahead = shared and not aliases  # because a test that fails there is run again in a new process
        student = SnapshotStudent(
            process.channel,
            granted,
            end,
            self._names,
            self._recorded if recorded is None else recorded,
            used,
            calls_ahead,
            partial(self._rerun, shared, stand_ins),
            record,
            FaultReader(self._notebooks.get(snapshot.file)) if snapshot else None,
            process.interrupt,
            stand_ins,
        )
        try:
            yield student
        finally:
            self._deadline += student.waited if at_most is None else time.monotonic() - started
            self._slot.give_back(student.waited)
            if shared and snapshot is not None and not student.changed:
                self._share(snapshot, process, reruns)
            else:
                process.close()

    def _rerun(
        self,
        shared: bool,
        stand_ins: StandIns | None,
        wanted: Sequence[Recorded],
        substitutions: Sequence[Substitution],
        entries: int,
    ) -> tuple[Rerun, bool]:
        """Run the cells of a notebook again in a fork of its last state; see `SnapshotStudent` for what is returned."""
        file = wanted[0].file
        snapshot = next((s for s in reversed(self._execution.snapshots) if s.file == file), None)
        if snapshot is None:
            raise StudentFault(Fault.MISSING, "no process of this notebook is left")
        cells = choose_cells(self._notebooks[file], wanted, self._execution)
        with self._open_for_rerun(snapshot, shared, stand_ins) as student:
            return rerun(student, cells, wanted, substitutions, entries), student.used

    @contextmanager
    def _open_for_rerun(
        self, snapshot: Snapshot, shared: bool, stand_ins: StandIns | None
    ) -> Iterator[SnapshotStudent]:
        if self._rerun_seconds <= 0:
            raise StudentFault(Fault.TIMED_OUT, f"all reruns together ran past their {RERUN_SECONDS:g} s")
        started = time.monotonic()
        at_most = None if stand_ins is None else self._limits.test_seconds
        try:
            with self._open_snapshot(snapshot, {}, None, shared, at_most, reruns=True, stand_ins=stand_ins) as student:
                yield student
        finally:
            self._rerun_seconds -= time.monotonic() - started

    def _take_shared(
        self, snapshot: Snapshot, aliases: Mapping[str, str], seconds: float, reruns: bool
    ) -> SnapshotProcess | None:
        """Return a shared process of this state that has `seconds` left, or None if there is none."""
        key = id(snapshot.packets)
        process = self._rerunning.pop(key, None) if reruns else None
        process = process or self._shared.pop(key, None)
        if process and not process.reset(snapshot, aliases, seconds):
            process.close()
            return None
        return process

    def _share(self, snapshot: Snapshot, process: SnapshotProcess, reruns: bool) -> None:
        processes = self._rerunning if reruns else self._shared
        processes[id(snapshot.packets)] = process
        if len(processes) > _MOST_SHARED:
            processes.pop(next(iter(processes))).close()


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

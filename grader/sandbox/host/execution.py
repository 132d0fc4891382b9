"""What running a submission's cells comes to: snapshots, notes, and how each cell ended."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from grader.models.recipe import Mode
from grader.results.report import CellResult
from grader.sandbox.protocol.channels import Packets
from grader.sandbox.protocol.encoding import Closed, Malformed
from grader.sandbox.protocol.outputs import KeptOutputs
from grader.student import OwnTraining

__all__ = ["Execution", "RecordedNote", "RunOptions", "Snapshot", "wait_for_running"]

_SECONDS_TO_ASK = 0.01
_SECONDS_TO_ANSWER = 2.0
_MAX_NOTICES = 20


@dataclass
class Snapshot:
    """A waiting copy of the kernel as it stood at one moment (`part`) of a cell.

    `names` were bound there; `at_end`, after the last cell, tells for every name in which cell it was bound.
    `moment` is the cell and part whose names are put back in a copy that was taken later, None for a copy that is used
    as it is; `same` tells whether that is surely the state as it stood.
    """

    file: str
    cell: int
    part: int
    names: frozenset[str]
    at_end: dict[str, int]
    pid: int
    packets: Packets
    moment: tuple[int, int] | None = None
    same: bool = True

    def asked(self) -> bool:
        """Ask whether the process is there and running; False where it cannot even be asked."""
        try:
            self.packets.send({"ping": True}, seconds=_SECONDS_TO_ASK)
        except (Closed, TimeoutError):
            return False
        return True

    def answered(self, deadline: float) -> bool:
        """Tell whether the answer is there by then; one that was killed a moment ago gives none."""
        try:
            self.packets.receive(seconds=max(0.0, deadline - time.monotonic()))
        except (Closed, Malformed, TimeoutError):
            return False
        return True


def wait_for_running(snapshots: Sequence[Snapshot]) -> list[Snapshot]:
    """Return those whose process is there and running; all are given the same two seconds."""
    processes = {id(snapshot.packets): snapshot for snapshot in snapshots}
    asked = [number for number, snapshot in processes.items() if snapshot.asked()]
    deadline = time.monotonic() + _SECONDS_TO_ANSWER
    answered = {number for number in asked if processes[number].answered(deadline)}
    return [snapshot for snapshot in snapshots if id(snapshot.packets) in answered]


@dataclass(frozen=True)
class RecordedNote:
    """A value (plain data) that a name had after a cell."""

    file: str
    cell: int
    name: str
    value: Any


@dataclass
class Execution:
    """What running the notebooks of a submission came to so far; what cells showed is kept where it is asked for."""

    snapshots: list[Snapshot] = field(default_factory=list)
    notes: list[RecordedNote] = field(default_factory=list)
    trainings: list[OwnTraining] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    imported: dict[str, str] = field(default_factory=dict)
    cells: dict[tuple[str, int], CellResult] = field(default_factory=dict)
    seconds: dict[tuple[str, int], float] = field(default_factory=dict)
    limits_hit: list[str] = field(default_factory=list)
    outputs: KeptOutputs | None = None

    def copied(self) -> Execution:
        """Return another one, to which can be added without adding to this one."""
        copies = {each.name: copy.copy(getattr(self, each.name)) for each in fields(self)}
        return Execution(**{**copies, "outputs": copy.deepcopy(self.outputs)})

    def become(self, other: Execution) -> None:
        """Take over all of a copy that was added to."""
        vars(self).update(vars(other))

    def close(self) -> None:
        """Hang up on every snapshot."""
        for snapshot in self.snapshots:
            snapshot.packets.close()

    def drop_lost_snapshots(self) -> None:
        """Forget the snapshots whose process is gone or stopped."""
        kept = set(map(id, wait_for_running(self.snapshots)))
        for snapshot in self.snapshots:
            if id(snapshot) not in kept:
                snapshot.packets.close()
        self.snapshots = [snapshot for snapshot in self.snapshots if id(snapshot) in kept]

    def notice(self, text: str) -> None:
        """Keep what a reader of the report should know, once, and not too much of it."""
        if text not in self.notices and len(self.notices) < _MAX_NOTICES:
            self.notices.append(text)

    def hit(self, limit: str) -> None:
        """Note that a limit was reached, once."""
        if limit not in self.limits_hit:
            self.limits_hit.append(limit)


@dataclass(frozen=True)
class RunOptions:
    """What the agent is to look for, and what the kernel finds.

    `names` are those that items ask for, `variables` those of them that may be any value. `seed` is that of the
    kernel's generators, `mode` what is done with trainings, `data_sets` the folders inside the sandbox with the files
    of each data set by torchvision's name ("FashionMNIST"). `moments` tells that what is defined need not be forked at
    once, but can be put back at the end.
    """

    names: tuple[str, ...]
    seed: int
    mode: Mode = Mode.NONE
    data_sets: Mapping[str, str] = field(default_factory=dict)
    variables: tuple[str, ...] = ()
    moments: bool = False

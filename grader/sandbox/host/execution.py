"""The results of running a submission's cells: snapshots, recorded values, and how each cell ended."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from grader.models.recipe import Mode
from grader.results.notice import Notice
from grader.results.report import CellResult
from grader.sandbox.protocol.channels import Packets
from grader.sandbox.protocol.encoding import Closed, Malformed
from grader.sandbox.protocol.outputs import KeptOutputs
from grader.student import OwnTraining

__all__ = ["Execution", "RecordedNote", "RunOptions", "Snapshot", "find_running"]

_SECONDS_TO_PING = 0.01
_SECONDS_TO_ANSWER = 2.0
_MAX_NOTICES = 20


@dataclass
class Snapshot:
    """A waiting copy of the kernel, as it stood after part `part` of a cell.

    `names` are the names bound there. The snapshot at the end of a notebook has `at_end`, which maps every name to the
    cell that bound it. If `checkpoint` is set, the process was forked later, and restores the names of that checkpoint
    (cell and part) before it answers. If `candidate` is set, it restores the candidate of a search with that number.
    `is_exact` is False if the restored state may differ from the state at that time.
    """

    file: str
    cell: int
    part: int
    names: frozenset[str]
    at_end: dict[str, int]
    pid: int
    packets: Packets
    checkpoint: tuple[int, int] | None = None
    candidate: int | None = None
    is_exact: bool = True

    def send_ping(self) -> bool:
        """Ask whether the process is running. Return False if the question cannot be sent."""
        try:
            self.packets.send({"ping": True}, seconds=_SECONDS_TO_PING)
        except (Closed, TimeoutError):
            return False
        return True

    def receive_pong(self, deadline: float) -> bool:
        """Return whether the process answers before `deadline`; one that was just killed does not."""
        try:
            self.packets.receive(seconds=max(0.0, deadline - time.monotonic()))
        except (Closed, Malformed, TimeoutError):
            return False
        return True


def find_running(snapshots: Sequence[Snapshot]) -> list[Snapshot]:
    """Return the snapshots whose process is running. All processes share the same two seconds to answer."""
    processes = {id(snapshot.packets): snapshot for snapshot in snapshots}
    pinged = [number for number, snapshot in processes.items() if snapshot.send_ping()]
    deadline = time.monotonic() + _SECONDS_TO_ANSWER
    running = {number for number in pinged if processes[number].receive_pong(deadline)}
    return [snapshot for snapshot in snapshots if id(snapshot.packets) in running]


@dataclass(frozen=True)
class RecordedNote:
    """A value (plain data) that a name had after a cell."""

    file: str
    cell: int
    name: str
    value: Any


@dataclass
class Execution:
    """The results of the notebooks of a submission that have been run so far.

    `imported` maps names that were only imported to their package. `sources` has the file of each definition that was
    imported from a file of the student's, by notebook, cell and name. `cells` and `seconds` have the file's name and
    the cell's index as key. `outputs` is None if the outputs of cells are not kept. `on_cell` is called with the file's
    name and the cell's index when a cell starts.
    """

    snapshots: list[Snapshot] = field(default_factory=list)
    notes: list[RecordedNote] = field(default_factory=list)
    trainings: list[OwnTraining] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    imported: dict[str, str] = field(default_factory=dict)
    sources: dict[tuple[str, int, str], str] = field(default_factory=dict)
    cells: dict[tuple[str, int], CellResult] = field(default_factory=dict)
    seconds: dict[tuple[str, int], float] = field(default_factory=dict)
    limits_hit: list[str] = field(default_factory=list)
    outputs: KeptOutputs | None = None
    on_cell: Callable[[str, int], None] = lambda file, cell: None

    def copy(self) -> Execution:
        """Return a copy that can be extended without changing this one."""
        copies = {item.name: copy.copy(getattr(self, item.name)) for item in fields(self)}
        return Execution(**{**copies, "outputs": copy.deepcopy(self.outputs)})

    def adopt(self, other: Execution) -> None:
        """Take over everything from a copy that was extended."""
        vars(self).update(vars(other))

    def close(self) -> None:
        """Hang up on every snapshot."""
        for snapshot in self.snapshots:
            snapshot.packets.close()

    def drop_lost_snapshots(self) -> None:
        """Forget the snapshots whose process has ended or is stopped."""
        running = set(map(id, find_running(self.snapshots)))
        for snapshot in self.snapshots:
            if id(snapshot) not in running:
                snapshot.packets.close()
        self.snapshots = [snapshot for snapshot in self.snapshots if id(snapshot) in running]

    def add_notice(self, notice: Notice) -> None:
        """Add a notice for the reader of the report, unless it is already there or there are too many."""
        if notice not in self.notices and len(self.notices) < _MAX_NOTICES:
            self.notices.append(notice)

    def add_limit(self, limit: str) -> None:
        """Record that a limit was reached, once for each limit."""
        if limit not in self.limits_hit:
            self.limits_hit.append(limit)


@dataclass(frozen=True)
class RunOptions:
    """What the kernel records, and what it offers to the cells.

    Args:
        names: the names that items ask for.
        seed: the seed of the kernel's random generators.
        mode: how trainings run.
        data_sets: the folders inside the sandbox with the raw files of each data set, by torchvision's name
            ("FashionMNIST").
        variables: those of the names that may have any value.
        deferred_snapshots: whether definitions are recorded as checkpoints and restored at the end of the notebook,
            instead of forking a snapshot for each.
        gpu: the UUID of the GPU that the cells can use; "" for none.
    """

    names: tuple[str, ...]
    seed: int
    mode: Mode = Mode.NONE
    data_sets: Mapping[str, str] = field(default_factory=dict)
    variables: tuple[str, ...] = ()
    deferred_snapshots: bool = False
    gpu: str = ""

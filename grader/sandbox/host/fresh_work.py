"""The work of a submission, each state of which is opened in a run of the cells of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

from grader.sandbox.host.snapshot_remote import SnapshotRemote
from grader.sandbox.host.snapshot_student import SnapshotStudent
from grader.sandbox.host.snapshot_work import SnapshotWork
from grader.student import Candidate, Definition, Fault, OwnTraining, StudentFault

__all__ = ["FreshWork"]


class FreshWork:
    """A submission whose functions respond differently from call to call.

    Each opening runs the cells anew, in a sandbox of its own, and then asks the kernel's own process: nothing that an
    earlier test did can be found there, in memory or elsewhere.

    Args:
        listed: lists what there is to judge.
        run: runs the cells in a new sandbox.
        deadline: when nothing is opened any more (monotonic seconds).
    """

    def __init__(
        self, listed: SnapshotWork, run: Callable[[], AbstractContextManager[SnapshotWork]], deadline: float
    ) -> None:
        self._listed = listed
        self._run = run
        self._deadline = deadline

    def definitions(self, names: Sequence[str]) -> Sequence[Definition]:
        """Return the definitions by which one of these names was bound to something the student wrote, in order."""
        return self._listed.definitions(names)

    def imported_from(self, name: str) -> str | None:
        """Return the package from which a name was imported, or None if it was not only imported."""
        return self._listed.imported_from(name)

    def candidates(self) -> Sequence[Candidate]:
        """Return the models, classes and functions that global names were bound to, in order."""
        return self._listed.candidates()

    def trainings(self) -> Sequence[OwnTraining]:
        """Return nothing: no item that is judged here is earned by training."""
        return ()

    def trained(self, training: OwnTraining, seconds: float | None = None) -> AbstractContextManager[SnapshotRemote]:
        """Raise StudentFault: there are no trained models."""
        raise StudentFault(Fault.MISSING, "the trained model is not there")

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
        """Run the cells, and open one of its states, or what it recorded if there is no definition."""
        if time.monotonic() > self._deadline:
            raise StudentFault(Fault.TIMED_OUT, "responds differently from call to call, and the time to try is over")
        with self._run() as work, work.open_last(definition, aliases) if definition else work.open(None) as student:
            yield student

"""The trusted end of one process that was forked from a snapshot."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping

from grader.sandbox.host.execution import Snapshot
from grader.sandbox.protocol.channels import Channel
from grader.sandbox.protocol.encoding import Closed, Malformed
from grader.sandbox.protocol.limits import Limits
from grader.student import Fault, StudentFault

__all__ = ["SnapshotProcess"]

_SECONDS_OF_GRACE = 1.0


class SnapshotProcess:
    """A process forked from a snapshot, which tests ask one after the other.

    Args:
        snapshot: the state; None for a process that is not there, and answers nothing.
        aliases: the student's own names for those that tests ask for.
        seconds: how long it may live.
        limits: the assignment's.
        seed: of the process's generators.

    Raises:
        StudentFault: the snapshot is gone.
    """

    def __init__(
        self, snapshot: Snapshot | None, aliases: Mapping[str, str], seconds: float, limits: Limits, seed: int
    ) -> None:
        ours, theirs = socket.socketpair()
        self.channel = Channel(ours)
        self._end = time.monotonic() + seconds
        with theirs:
            if snapshot is None:
                return
            request = {
                "seconds": seconds + _SECONDS_OF_GRACE,
                "memory_bytes": limits.test_memory_bytes,
                "seed": seed,
                "aliases": dict(aliases),
                "checkpoint": snapshot.checkpoint,
            }
            try:
                snapshot.packets.send(request, (theirs.fileno(),), seconds=_SECONDS_OF_GRACE)
            except (Closed, TimeoutError):
                ours.close()
                raise StudentFault(Fault.CRASHED, "the notebook's process of that cell is gone") from None

    def begins(self, snapshot: Snapshot, aliases: Mapping[str, str], seconds: float) -> bool:
        """Have it be as a new one for the next test; False where it cannot, or would not live for so many seconds.

        Args:
            snapshot: the state; another moment of the same process will do.
            aliases: as for a new one.
            seconds: how long the test may take.
        """
        if time.monotonic() + seconds > self._end:
            return False
        try:
            self.channel.send(
                {"operation": "begin", "aliases": dict(aliases), "checkpoint": snapshot.checkpoint}, seconds=_SECONDS_OF_GRACE
            )
            return self.channel.receive(seconds=_SECONDS_OF_GRACE) is None
        except (Closed, Malformed, TimeoutError):
            return False

    def close(self) -> None:
        """Hang up, which ends it."""
        self.channel.close()

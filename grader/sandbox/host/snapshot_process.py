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
    """A process forked from a snapshot, which answers one test after the other.

    Args:
        snapshot: the state to fork; None for a process that does not exist and answers nothing.
        aliases: the student's own names for the names that tests ask for.
        seconds: how long the process may live.
        limits: the assignment's limits.
        seed: the seed of the process's random generators.

    Raises:
        StudentFault: the snapshot is gone.
    """

    def __init__(
        self, snapshot: Snapshot | None, aliases: Mapping[str, str], seconds: float, limits: Limits, seed: int
    ) -> None:
        ours, peer = socket.socketpair()
        self.channel = Channel(ours)
        self._end = time.monotonic() + seconds
        with peer:
            if snapshot is None:
                return
            request = {
                "seconds": seconds + _SECONDS_OF_GRACE,
                "memory_bytes": limits.test_memory_bytes,
                "seed": seed,
                "aliases": dict(aliases),
                "checkpoint": snapshot.checkpoint,
                "candidate": snapshot.candidate,
            }
            try:
                snapshot.packets.send(request, (peer.fileno(),), seconds=_SECONDS_OF_GRACE)
            except (Closed, TimeoutError):
                ours.close()
                raise StudentFault(Fault.CRASHED, "the notebook's process of that cell is gone") from None

    def reset(self, snapshot: Snapshot, aliases: Mapping[str, str], seconds: float) -> bool:
        """Reset the process for the next test. Return False if it cannot be reset or has less than `seconds` left.

        Args:
            snapshot: the state to restore, which may be another one of the same process.
            aliases: the student's own names, as for a new process.
            seconds: how long the test may take.
        """
        if time.monotonic() + seconds > self._end:
            return False
        state = {"checkpoint": snapshot.checkpoint, "candidate": snapshot.candidate}
        request = {"operation": "begin", "aliases": dict(aliases), **state}
        try:
            self.channel.send(request, seconds=_SECONDS_OF_GRACE)
            return self.channel.receive(seconds=_SECONDS_OF_GRACE) is None
        except (Closed, Malformed, TimeoutError):
            return False

    def close(self) -> None:
        """Hang up, which ends the process."""
        self.channel.close()

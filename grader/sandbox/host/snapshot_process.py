"""The trusted end of one process that was forked from a snapshot."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import count
from typing import Any

from grader.sandbox.host.execution import Snapshot
from grader.sandbox.protocol.channels import Channel
from grader.sandbox.protocol.encoding import MAX_ANSWER_BYTES, Closed, Failure, Malformed
from grader.sandbox.protocol.limits import Limits
from grader.student import Fault, StudentFault

__all__ = ["SnapshotProcess"]

_SECONDS_OF_GRACE = 1.0
_SECONDS_TO_SAY_WHERE = 0.3  # after an interrupt, for the process to tell which line was running
_numbers = count()


class SnapshotProcess:
    """A process forked from a snapshot, which answers one test after the other.

    Args:
        snapshot: the state to fork; None for a process that does not exist and answers nothing.
        aliases: the student's own names for the names that tests ask for.
        seconds: how long the process may live.
        limits: the assignment's limits.
        seed: the seed of the process's random generators.
        last: whether the snapshot itself becomes the process, instead of a fork. Nothing else can be asked of it then.
        stand_ins: the student's names that are bound to stand-ins (`grader/models/stand_ins.py`).

    Raises:
        StudentFault: the snapshot is gone.
    """

    def __init__(
        self,
        snapshot: Snapshot | None,
        aliases: Mapping[str, str],
        seconds: float,
        limits: Limits,
        seed: int,
        *,
        last: bool = False,
        stand_ins: Iterable[str] = (),
    ) -> None:
        ours, peer = socket.socketpair()
        self.channel = Channel(ours, max_received_bytes=MAX_ANSWER_BYTES)
        self._end = time.monotonic() + seconds
        self._snapshot = None if last else snapshot
        self._number = next(_numbers) % 2**31
        with peer:
            if snapshot is None:
                return
            request = {
                "number": self._number,
                "seconds": seconds + _SECONDS_OF_GRACE,
                "memory_bytes": limits.test_memory_bytes,
                "seed": seed,
                "aliases": dict(aliases),
                "checkpoint": snapshot.checkpoint,
                "candidate": snapshot.candidate,
                "last": last,
                "stand_ins": tuple(stand_ins),
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

    def interrupt(self) -> Any:
        """Interrupt what the process is doing. Return its response, which is a failure, or None if there is none."""
        if self._snapshot is not None:
            with suppress(Closed, Malformed, TimeoutError):
                self._snapshot.packets.send({"interrupt": self._number}, seconds=_SECONDS_TO_SAY_WHERE)
                response = self.channel.receive(seconds=_SECONDS_TO_SAY_WHERE)
                return response if isinstance(response, Failure) else None
        return None

    def close(self) -> None:
        """Hang up, which ends the process."""
        self.channel.close()

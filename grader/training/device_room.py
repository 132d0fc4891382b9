"""How much may run on a device at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["DeviceRoom"]


class DeviceRoom:
    """Seats and memory of a device, which trainings take while they run.

    Args:
        seats: the most trainings at once.
        memory: bytes for all of them together.
    """

    def __init__(self, seats: int, memory: int) -> None:
        self.seats, self.memory = seats, memory
        self._seats_left, self._memory_left = seats, memory
        self._changed = threading.Condition()

    @contextmanager
    def take(self, seats: int, memory: int) -> Iterator[None]:
        """Wait for room, and take it for the body. Who needs more than there is gets all of it, and so is alone."""
        seats, memory = min(seats, self.seats), min(memory, self.memory)
        with self._changed:
            self._changed.wait_for(lambda: self._seats_left >= seats and self._memory_left >= memory)
            self._seats_left -= seats
            self._memory_left -= memory
        try:
            yield
        finally:
            with self._changed:
                self._seats_left += seats
                self._memory_left += memory
                self._changed.notify_all()

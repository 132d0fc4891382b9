"""Room on a device for several trainings at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from grader.training.device_room import DeviceRoom


@pytest.mark.parametrize(
    ("seats", "memory", "most"), [(1, 10, 4), (4, 0, 1), (99, 0, 1), (1, 50, 2), (1, 999, 1), (2, 40, 2)]
)
def test_as_many_run_at_once_as_there_are_seats_and_memory(seats: int, memory: int, most: int) -> None:
    room, lock, running, seen = DeviceRoom(4, 100), threading.Lock(), 0, list[int]()
    together = threading.Barrier(most)

    def run() -> None:
        nonlocal running
        with room.take(seats, memory):
            with lock:
                running += 1
                seen.append(running)
            together.wait(60)  # no fewer
            with lock:
                running -= 1

    with ThreadPoolExecutor(4) as threads:
        for future in [threads.submit(run) for _ in range(4)]:
            future.result()
    assert max(seen) == most


def test_an_error_gives_the_room_back() -> None:
    room = DeviceRoom(1, 10)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), room.take(1, 10):
            raise ZeroDivisionError

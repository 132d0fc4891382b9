"""Calls that several threads make at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["at_once"]

Answer = TypeVar("Answer")


def at_once(count: int, do: Callable[[], Answer]) -> list[Answer]:
    """Do the same in so many threads that start together, and return what each came to."""
    start, answers, errors = threading.Barrier(count), [], []

    def one() -> None:
        start.wait()
        try:
            answers.append(do())
        except Exception as error:  # for the test to see
            errors.append(error)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    return answers

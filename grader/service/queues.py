"""The names of the queues: `cpu` for definitions, `gpu` or `gpu-<word>` for trainings."""

from __future__ import annotations

import re
from collections.abc import Iterable

from grader.errors import InputError

__all__ = ["CPU", "GPU", "needs_gpu", "read_queues"]

CPU = "cpu"
GPU = "gpu"  # where trainings wait unless the assignment names another queue

_NAME = re.compile(r"cpu|gpu(-[a-z0-9]+)?")


def read_queues(names: Iterable[str]) -> tuple[str, ...]:
    """Return the queues with these names, each once.

    Raises:
        InputError: one is not the name of a queue.
    """
    found = tuple(dict.fromkeys(names))
    for name in found:
        if not _NAME.fullmatch(name):
            raise InputError(f"there is no queue {name!r}: give cpu, gpu, or gpu- and a word such as gpu-small")
    return found


def needs_gpu(queue: str) -> bool:
    """Return whether the jobs of a queue are graded on a GPU."""
    return queue != CPU

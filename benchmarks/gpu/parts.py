"""The parts of the check, in the order in which they run: each in a process of its own."""

from __future__ import annotations

import importlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.gpu.rows import CheckRow
from benchmarks.gpu.settings import CheckSettings

__all__ = ["MEMORY", "PARTS", "WAYS_TO_BREAK", "CheckPart"]

WAYS_TO_BREAK = ("raises", "hangs", "dies")


@dataclass(frozen=True)
class CheckPart:
    """A part.

    Attributes:
        name: its name, also that of its module.
        seconds: how long it may take at most.
        reserved: how many seconds the parts before it leave it.
    """

    name: str
    seconds: float
    reserved: float

    def run(self, settings: CheckSettings) -> Iterator[CheckRow]:
        """Run it in this process, and yield its rows."""
        yield from _break(dict(part.split(":") for part in settings.broken).get(self.name, ""))
        module = importlib.import_module(f"benchmarks.gpu.{self.name}")
        yield from module.run(settings)


def _break(how: str) -> Iterator[CheckRow]:
    """Do to a part what a GPU may do to it, after a first row."""
    if not how:
        return
    yield CheckRow("the part so far")
    if how == "raises":
        raise RuntimeError("made to raise")
    if how == "hangs":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(3600)
    os.kill(os.getpid(), signal.SIGSEGV)


# What is asked before the first part and after each one, about the memory of the GPU.
MEMORY = CheckPart("memory", 15, 0)

PARTS = (
    CheckPart("facts", 40, 20),
    CheckPart("doctor", 60, 20),
    CheckPart("device_cells", 90, 30),
    CheckPart("attacks", 110, 50),
    CheckPart("wedge", 60, 30),
    CheckPart("recipes", 150, 80),
    CheckPart("notebooks", 200, 120),
    CheckPart("stock_loops", 80, 40),
)

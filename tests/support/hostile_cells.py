"""Pieces of hostile cells that several attacks use."""

from __future__ import annotations

import re

from grader.results.report import CellResult
from grader.sandbox.guest.definition_tracker import DefinitionTracker

__all__ = ["LINE", "REACHED", "TRACKER", "TRACKER_CLASS", "attacked", "raised"]

TRACKER_CLASS = DefinitionTracker.__name__

# Collects what an attack got and says it in a way that shows in the report.
REACHED = """
import os
def reached(*attempts):
    got = []
    for attempt in attempts:
        try:
            got.append(attempt())
        except OSError:
            pass
    raise RuntimeError(f"LOOT {got}")
"""

# The definition tracker in the kernel, and its line to the trusted side.
TRACKER = f"""
import gc, os, socket
from grader.sandbox.protocol.encoding import Array, encode
tracker = next(thing for thing in gc.get_objects() if type(thing).__name__ == "{TRACKER_CLASS}")
line = tracker._packets.socket
"""

# A line of one's own in place of a snapshot's.
LINE = """
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
NOTE = {"note": "snapshot", "cell": 0, "names": ("corr2d",), "part": 9, "at_end": {}, "checkpoints": ()}
def claim(descriptors, **changes):
    socket.send_fds(line, [encode({**NOTE, "pid": os.getpid(), **changes})], descriptors)
"""


def raised(cell: CellResult) -> str:
    """Return the only exception of a cell's statements."""
    (stop,) = cell.stops
    return stop.error


def attacked(cell: CellResult) -> bool:
    """Tell from the statements of a hostile cell that stopped whether it did what it is to do.

    A cell that attacks a name we have renamed attacks nothing, and its test would pass.
    """
    mistakes = "AttributeError|ImportError|IndexError|KeyError|ModuleNotFoundError|NameError|StopIteration|SyntaxError"
    return not any(re.match(rf"({mistakes}|AssertionError|TypeError)\b", stop.error) for stop in cell.stops)

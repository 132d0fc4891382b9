"""Pieces of hostile cells that several attacks use."""

from __future__ import annotations

import re

from grader.sandbox.guest.definition_tracker import DefinitionTracker

__all__ = ["LINE", "REACHED", "TRACKER", "TRACKER_CLASS", "attacked"]

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


def attacked(message: str) -> bool:
    """Tell from the message of a hostile cell whether it did what it is to do.

    A cell that attacks a name we have renamed attacks nothing, and its test would pass.
    """
    mistakes = "AttributeError|ImportError|IndexError|KeyError|ModuleNotFoundError|NameError|StopIteration|SyntaxError"
    return not re.match(rf"({mistakes}|AssertionError|TypeError)\b", message)

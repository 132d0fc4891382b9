"""Pieces of hostile cells that several attacks use."""

from __future__ import annotations

__all__ = ["LINE", "REACHED", "TRACKER"]

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
TRACKER = """
import gc, os, socket
from grader.sandbox.protocol.encoding import Array, encode
tracker = next(thing for thing in gc.get_objects() if type(thing).__name__ == "DefinitionTracker")
line = tracker._packets.socket
"""

# A line of one's own in place of a snapshot's.
LINE = """
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
NOTE = {"note": "snapshot", "cell": 0, "names": ("corr2d",), "part": 9, "at_end": {}, "checkpoints": ()}
def claim(descriptors, **changes):
    socket.send_fds(line, [encode({**NOTE, "pid": os.getpid(), **changes})], descriptors)
"""

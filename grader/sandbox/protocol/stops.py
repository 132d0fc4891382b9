"""The statements of a cell that raised, as plain data: where each stands, and with which exception it ended.

The kernel notes them, the runner and the trusted side read them by the same code, because what arrives may be forged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = ["MOST_STOPS", "StatementStop", "StopKind", "pack_stops", "unpack_stops"]

MOST_STOPS = 20  # of a cell
_MOST_TEXT = 500
_MOST_LINE = 2**22


class StopKind(StrEnum):
    """Why a statement ended. The values are the statuses of a cell with such a statement."""

    INTERRUPTED = "interrupted"
    FLOODED = "flooded"
    OUT_OF_MEMORY = "out of memory"
    RAISED = "raised"
    LEFT_OUT = "training withheld"


@dataclass(frozen=True)
class StatementStop:
    """A statement that raised.

    `line` is where it raised, `last_line` where the statement ends; both count from 1 within the cell. `error` is the
    exception's name and text.
    """

    line: int
    last_line: int
    kind: StopKind
    error: str


def pack_stops(stops: Sequence[StatementStop]) -> tuple[tuple[int, int, str, str], ...]:
    """Return stops as plain values."""
    return tuple((stop.line, stop.last_line, stop.kind.value, stop.error) for stop in stops[:MOST_STOPS])


def unpack_stops(stored: Any) -> tuple[StatementStop, ...]:
    """Return the stops that `pack_stops` packed. Those of another form are dropped: they only affect messages."""
    entries = stored[:MOST_STOPS] if isinstance(stored, list | tuple) else ()
    return tuple(stop for stop in map(_unpack_stop, entries) if stop is not None)


def _unpack_stop(entry: Any) -> StatementStop | None:
    match entry:
        case [int(line), int(last_line), str(kind), str(error)] if 0 < line <= last_line < _MOST_LINE:
            if kind in set(StopKind):
                # A lone surrogate can be sent in a message, but cannot be written to a file.
                text = error[:_MOST_TEXT].encode("utf-8", "replace").decode()
                return StatementStop(line, last_line, StopKind(kind), text)
    return None

"""How a cell ended, from what the runner says of it: the statements that raised, and a message for the student."""

from __future__ import annotations

import re
from collections.abc import Sequence

from grader.models.device_words import explain_device_error
from grader.results.notice import CellStop
from grader.results.report import CellResult
from grader.sandbox.protocol.stops import StatementStop, StopKind
from grader.submission.submission import Cell

__all__ = ["describe_cell_end"]

_MOST_ERROR = 300
_MOST_IN_MESSAGE = 120  # a report shows about 200 characters of a message
_OUR_EXCEPTIONS = (StopKind.LEFT_OUT, StopKind.FLOODED)
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")


def describe_cell_end(file: str, cell: Cell, status: str, message: str, stops: Sequence[StatementStop]) -> CellResult:
    """Return the result of a cell.

    Args:
        file: the notebook's name.
        cell: the cell.
        status: how it ended.
        message: the runner's message, which is used if no statement tells more.
        stops: the statements that raised.
    """
    lines = cell.source.splitlines()
    inside = [stop for stop in stops if stop.line <= len(lines)]
    kept = tuple(CellStop(stop.line, _cut(_explain(stop.error), _MOST_ERROR)) for stop in inside)
    own_words = [
        stop.error.partition(": ")[2] for stop in inside if stop.kind in _OUR_EXCEPTIONS and stop.kind == status
    ]
    if own_words:
        message = own_words[0]
    elif inside and status in (StopKind.RAISED, StopKind.OUT_OF_MEMORY):
        message = _describe(inside, lines)
    elif inside and inside[-1].kind is StopKind.INTERRUPTED:
        message = f"{message} at line {inside[-1].line}"
    return CellResult(file, cell.index, status, _ADDRESS.sub("0x…", message), kept)


def _describe(stops: Sequence[StatementStop], lines: Sequence[str]) -> str:
    stops = [stop for stop in stops if stop.kind is not StopKind.LEFT_OUT] or stops
    first = stops[0]
    error = _cut(_explain(first.error), _MOST_IN_MESSAGE)
    stopped = {number for stop in stops for number in range(stop.line, stop.last_line + 1)}
    below = [number for number, line in enumerate(lines, 1) if number > first.last_line and _is_code(line)]
    run = [number for number in below if number not in stopped]
    if len(stops) > 1:
        start = f"{len(stops)} statements stopped ({_list_lines(stops)}), the first with {error}"
    else:
        start = f"stopped at line {first.line}: {error}"
    if not run or stops[-1].kind is StopKind.INTERRUPTED:
        return start
    other = "other " if len(stops) > 1 else ""
    what = f"the {other}line below was" if len(run) == 1 else f"the {other}{len(run)} lines below were"
    return f"{start}; {what} run all the same"


def _explain(error: str) -> str:
    """Return an exception's name and text. What concerns a GPU is said in plain words."""
    words = explain_device_error(error)
    return f"{error.partition(':')[0]}: {words}" if words else error


def _list_lines(stops: Sequence[StatementStop]) -> str:
    numbers = [f"{stop.line}" for stop in stops[:5]] + ["…"] * (len(stops) > 5)
    return f"lines {', '.join(numbers)}"


def _is_code(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _cut(error: str, longest: int) -> str:
    text = _ADDRESS.sub("0x…", " ".join(error.split()))
    return text if len(text) <= longest else f"{text[: longest - 1]}…"

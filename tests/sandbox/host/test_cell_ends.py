"""How a cell ended is told in a sentence."""

from __future__ import annotations

import pytest

from grader.results.notice import CellStop
from grader.sandbox.host.cell_ends import describe_cell_end
from grader.sandbox.protocol.stops import StatementStop, StopKind
from grader.submission.submission import Cell

SOURCE = "import x\n\n# a comment\na = 1\nb = (\n    2)\nc = 3"


def stop(line: int, last_line: int | None = None, error: str = "E: no", kind: str = "raised") -> StatementStop:
    return StatementStop(line, last_line or line, StopKind(kind), error)


@pytest.mark.parametrize(
    ("status", "stops", "message"),
    [
        ("ok", [], "as the runner says"),
        ("raised", [], "as the runner says"),
        ("raised", [stop(1)], "stopped at line 1: E: no; the 4 lines below were run all the same"),
        ("raised", [stop(5, 6)], "stopped at line 5: E: no; the line below was run all the same"),
        ("raised", [stop(7)], "stopped at line 7: E: no"),
        (
            "raised",
            [stop(1), stop(5, 6)],
            "2 statements stopped (lines 1, 5), the first with E: no; the other 2 lines below were run all the same",
        ),
        ("raised", [stop(1), stop(4, kind="interrupted")], "2 statements stopped (lines 1, 4), the first with E: no"),
        ("out of memory", [stop(7, kind="out of memory")], "stopped at line 7: E: no"),
        ("timed out", [stop(4, kind="interrupted")], "as the runner says at line 4"),
        ("training withheld", [stop(4, kind="training withheld", error="Withheld: it is")], "it is"),
        (
            "raised",
            [stop(1, kind="training withheld"), stop(4)],
            "stopped at line 4: E: no; the 3 lines below were run all the same",
        ),
        ("flooded", [stop(1), stop(4, kind="flooded", error="Flood: much")], "much"),
        ("flooded", [stop(4)], "as the runner says"),
        ("raised", [stop(99)], "as the runner says"),
    ],
)
def test_the_message_of_a_cell(status: str, stops: list[StatementStop], message: str) -> None:
    end = describe_cell_end("a.ipynb", Cell(3, "code", SOURCE), status, "as the runner says", stops)
    assert (end.file, end.cell, end.status, end.message) == ("a.ipynb", 3, status, message)


def test_the_stops_are_kept_on_one_line_without_addresses() -> None:
    stops = [stop(1, error="E: <f at 0x7f8e9fdacfe0>\n  is " + "x" * 500), stop(99)]
    end = describe_cell_end("a.ipynb", Cell(0, "code", SOURCE), "raised", "", stops)
    assert end.stops == (CellStop(1, f"E: <f at 0x…> is {'x' * 282}…"),)

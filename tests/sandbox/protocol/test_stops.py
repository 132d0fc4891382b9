"""Stops cross the border as plain values, and forged ones are dropped."""

from __future__ import annotations

import json
from typing import Any

import pytest

from grader.sandbox.protocol.stops import MOST_STOPS, StatementStop, StopKind, pack_stops, unpack_stops

STOP = StatementStop(3, 4, StopKind.RAISED, "ValueError: no")


def test_stops_come_back_as_they_were_also_from_json() -> None:
    assert unpack_stops(pack_stops([STOP])) == (STOP,)
    assert unpack_stops(json.loads(json.dumps(pack_stops([STOP])))) == (STOP,)


@pytest.mark.parametrize(
    "forged",
    [
        None,
        5,
        {"line": 3},
        "stops",
        [None, 5, "x", [], [3, 4, "raised"]],
        [[0, 4, "raised", ""], [5, 4, "raised", ""], [1, 2**80, "raised", ""], [1, 1, "passed", ""]],
        [["3", 4, "raised", ""], [3, 4.0, "raised", ""], [3, 4, [], ""], [3, 4, "raised", None]],
    ],
)
def test_forged_stops_are_dropped(forged: Any) -> None:
    assert unpack_stops(forged) == ()


def test_there_are_so_many_of_a_cell_and_no_more() -> None:
    assert len(pack_stops([STOP] * 1000)) == len(unpack_stops([[3, 4, "raised", "x"]] * 1000)) == MOST_STOPS


def test_a_text_is_cut_and_can_be_written_to_a_file() -> None:
    (stop,) = unpack_stops([[1, 1, "raised", "\ud800" * 1000]])
    assert stop.error == "?" * 500

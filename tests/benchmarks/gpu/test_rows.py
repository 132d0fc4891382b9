"""Rows of the check: whatever is tried ends in one."""

from __future__ import annotations

import json

from benchmarks.gpu.rows import CheckRow, RowOutcome, attempt


def test_what_raises_is_a_row_with_its_traceback() -> None:
    row = attempt("a division", lambda: CheckRow("", detail=str(1 // 0)))
    assert (row.name, row.outcome) == ("a division", RowOutcome.BROKE)
    assert row.detail.startswith("ZeroDivisionError: ")
    assert "test_rows.py" in row.data["traceback"]


def test_a_row_is_named_and_on_one_line() -> None:
    row = attempt("the cells", lambda: CheckRow("", RowOutcome.REFUSED, "first\nsecond  line"))
    assert (row.name, row.outcome, row.detail) == ("the cells", RowOutcome.REFUSED, "first second line")


def test_a_row_is_the_same_after_json() -> None:
    row = CheckRow("the cells", RowOutcome.GOT_IN, "loot", 1.5, {"printed": ["LOOT"]})
    assert CheckRow.from_json(json.loads(json.dumps(row.to_json()))) == row

"""The plain gradebook has a row a submission, and opens right in Excel."""

from __future__ import annotations

from grader.gradebook import GradebookEntry, write_plain_csv
from tests.support.gradebook_entries import cells, entry


def test_every_entry_has_a_row_with_its_points() -> None:
    text = write_plain_csv([entry("김민수", 7.5, canvas_id="12"), entry("Yuna", login="yuna")])
    assert cells(text) == [
        ["key", "name", "canvas_id", "login", "score", "max", "pending", "corr2d", "lenet", "problem"],
        ["김민수", "김민수", "12", "", "7.5", "10", "0", "4", "3.5", ""],
        ["yuna", "Yuna", "", "yuna", "10", "10", "0", "4", "6", ""],
    ]


def test_it_starts_with_a_byte_order_mark_and_has_windows_line_ends() -> None:
    text = write_plain_csv([entry("Kim")])
    assert text.startswith("\ufeffkey,name,")
    assert text.count("\r\n") == 2


def test_who_has_no_report_gets_no_number() -> None:
    (_, row) = cells(write_plain_csv([entry("Kim", None, problem="no valid JSON\nat line 1")]))
    assert row == ["kim", "Kim", "", "", "", "no valid JSON at line 1"]


def test_points_to_be_decided_are_no_zero() -> None:
    (_, row) = cells(write_plain_csv([entry("Kim", pending=True)]))
    assert row[2:] == ["4", "10", "6", "4", "", "6 of 10 points are still to be decided"]


def test_formulas_are_neutralised_wherever_a_student_writes() -> None:
    name = '=HYPERLINK("https://example.org")'
    (header, row) = cells(
        write_plain_csv([GradebookEntry("-1+1", name, {"login": "@kim"}, None, "+cmd: is no notebook")])
    )
    assert dict(zip(header, row, strict=True)) == {
        "key": "'-1+1",
        "name": f"'{name}",
        "login": "'@kim",
        "score": "",
        "max": "",
        "pending": "",
        "problem": "'+cmd: is no notebook",
    }


def test_nobody_is_a_gradebook_too() -> None:
    assert cells(write_plain_csv([])) == [["key", "name", "score", "max", "pending", "problem"]]

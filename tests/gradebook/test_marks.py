"""The marking sheet: every answer in it, safe in a spreadsheet program, and nothing taken from it that does not fit."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pytest

from grader.errors import InputError
from grader.gradebook import GradebookEntry, read_marking_sheet, write_marking_sheet
from grader.results.marks import Mark, add_marks
from grader.results.report import ItemResult, Report, Verdict

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def report(*texts: str) -> Report:
    tested = ItemResult("relu", "7.1", "ReLU", 2, 2, Verdict.PASSED, "right")
    waiting = [
        ItemResult(
            f"discussion.7.{number}",
            f"7.{number}",
            "Discussion",
            0,
            0.75,
            Verdict.PENDING,
            "waits for a person (1 word)",
            evidence={"kind": "discussion", "text": text, "cells": [], "words": 1},
        )
        for number, text in enumerate(texts, start=1)
    ]
    return Report("hw2", "Homework 2", "1", (), (tested, *waiting))


CLASS = [
    GradebookEntry("kim", "김지민", report=report("하나\n\n둘", "=1+1")),
    GradebookEntry("lee", "=Lee", report=report("", "two")),
    GradebookEntry("park", "Park", problem="no notebook"),
]


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def filled(**cells: tuple[str, str]) -> str:
    """Return the sheet with points and comments filled in, by key and the last digit of the item, as in `kim1`."""
    sheet = rows(write_marking_sheet(CLASS))
    for row in sheet:
        row["points"], row["comment"] = cells.get(row["key"] + row["item"][-1], ("", ""))
    written = io.StringIO()
    writer = csv.DictWriter(written, list(sheet[0]))
    writer.writeheader()
    writer.writerows(sheet)
    return written.getvalue()


def given(text: str) -> dict[str, list[tuple[str, float, str]]]:
    marks = read_marking_sheet(text, CLASS, "Kim", NOW)
    assert {(mark.by, mark.at) for new in marks.values() for mark in new} <= {("Kim", NOW)}
    return {key: [(mark.item, mark.points, mark.comment) for mark in new] for key, new in marks.items()}


def test_all_answers_to_one_item_come_before_the_next() -> None:
    sheet = rows(write_marking_sheet(CLASS))
    assert [(row["key"], row["item"]) for row in sheet] == [
        ("kim", "discussion.7.1"),
        ("lee", "discussion.7.1"),
        ("kim", "discussion.7.2"),
        ("lee", "discussion.7.2"),
    ]
    assert sheet[0] == {
        "key": "kim",
        "name": "김지민",
        "item": "discussion.7.1",
        "text": "하나\n\n둘",
        "points": "",
        "comment": "",
    }


def test_nothing_in_it_is_a_formula() -> None:
    sheet = rows(write_marking_sheet(CLASS))
    assert (sheet[1]["name"], sheet[2]["text"]) == ("'=Lee", "'=1+1")


def test_what_is_filled_in_is_read_and_what_is_not_gives_nothing() -> None:
    assert given(filled()) == {}
    assert given(filled(kim1=("0.75", "good"), lee2=(" 0,5 ", ""), kim2=("0", "where?"))) == {
        "kim": [("discussion.7.1", 0.75, "good"), ("discussion.7.2", 0, "where?")],
        "lee": [("discussion.7.2", 0.5, "")],
    }


def test_another_separator_order_and_columns_of_ones_own_are_read_too() -> None:
    text = "\ufeffpoints;mine;item;key;comment\r\n0,5;x;discussion.7.1;kim;why\r\n"
    assert given(text) == {"kim": [("discussion.7.1", 0.5, "why")]}


def test_marks_that_are_there_stand_in_the_sheet_and_are_not_new() -> None:
    marks = [Mark("discussion.7.1", 0.5, "=why", "Lee", NOW), Mark("discussion.7.2", 0.75, "", "Lee", NOW)]
    entries = [GradebookEntry("kim", "Kim", report=add_marks(report("a", "b"), marks))]
    sheet = write_marking_sheet(entries)
    assert [(row["points"], row["comment"]) for row in rows(sheet)] == [("0.5", "'=why"), ("0.75", "")]
    assert read_marking_sheet(sheet, entries, "Kim", NOW) == {}
    changed = read_marking_sheet(sheet.replace("0.75", "0.25"), entries, "Kim", NOW)
    assert changed == {"kim": [Mark("discussion.7.2", 0.25, "", "Kim", NOW)]}


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"kim1": ("1", "")}, r"line 2 \(kim, discussion.7.1\): discussion.7.1 gives from 0 to 0.75 points, not 1"),
        ({"lee1": ("-0.5", "")}, r"line 5 \(lee, discussion.7.1\): '-0.5' is no number of points; write it as 0.5"),
        ({"lee2": ("nan", "")}, r"line 7 \(lee, discussion.7.2\): 'nan' is no number"),
        ({"lee2": ("half", "")}, "'half' is no number"),
        ({"lee2": ("", "good")}, "a comment and no points; give points, 0 for none"),
        ({"lee2": ("0.5", "a" * 2001)}, "shorten it to 2,000"),
    ],
)
def test_a_row_that_does_not_fit_is_named_by_its_line(cells: dict[str, tuple[str, str]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        given(filled(kim2=("0.5", "this one is right"), **cells))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("key,item,points,comment\nkim,relu,1,\n", r"line 2 \(kim, relu\): its report has no such item"),
        ("key,item,points,comment\nkim,nothing,1,\n", "no such item that a person marks"),
        ("key,item,points,comment\npark,discussion.7.1,1,\n", "no such item that a person marks"),
        ("key,item,points,comment\n\n\nnobody,discussion.7.1,1,\n", r"line 4 \(nobody, .*: the batch has no such sub"),
        ("key,item,points,comment\nkim,discussion.7.1,0,\nkim,discussion.7.1,0.5,\n", "line 3 .* in an earlier line"),
        ("key,item,comment\nkim,discussion.7.1,\n", "one column points"),
        ("key,item,points,points,comment\nkim,discussion.7.1,1,1,\n", "one column points"),
        ("", "no CSV file"),
        ("key", "no rows"),
    ],
)
def test_a_sheet_that_is_another_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        given(text)

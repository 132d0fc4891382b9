"""Canvas' exported gradebook comes back with grades in one column, and all else as it was."""

from __future__ import annotations

import pytest

from grader.errors import InputError
from grader.gradebook import fill_canvas
from tests.support.gradebook_entries import cells, entry

HEADER = "Student,ID,SIS User ID,SIS Login ID,Section,Homework 1 (900),Homework 2 (901),Final Score\n"
EXPORT = (
    HEADER + ",,,,,,Manual Posting,\n"
    "    Points Possible,,,,,100,10,(read only)\n"
    '"Kim, Minsu",12,2021001,minsu,"A, B",-5,,61\n'
    '"Lee, Yuna",13,2021002,yuna,A,80,,70\n'
    "Test Student,99,,abc,A,,,\n"
)


def test_grades_go_into_the_assignment_s_column_and_nothing_else_changes() -> None:
    filled = fill_canvas(EXPORT, [entry("lee", 7.25, canvas_id="13"), entry("kim", canvas_id="12")], "Homework 2")
    assert filled.text == EXPORT.replace("-5,,61", "-5,10,61").replace("80,,70", "80,7.25,70")
    assert (filled.without_grade, filled.not_found, filled.notices) == ((), (), ())


def test_the_column_may_be_named_with_its_number() -> None:
    assert "-5,10,61" in fill_canvas(EXPORT, [entry("kim", canvas_id="12")], "Homework 2 (901)").text


def test_who_has_no_final_grade_keeps_an_empty_cell_and_is_named() -> None:
    entries = [
        entry("kim", pending=True, canvas_id="12"),
        entry("lee", None, problem="the sandbox broke", canvas_id="13"),
    ]
    filled = fill_canvas(EXPORT, entries, "Homework 2")
    assert filled.text == EXPORT
    assert filled.without_grade == ("kim: 6 of 10 points are still to be decided", "lee: the sandbox broke")


def test_who_is_not_in_the_export_is_named() -> None:
    filled = fill_canvas(
        EXPORT, [entry("kim", canvas_id="12"), entry("park", canvas_id="14"), entry("han")], "Homework 2"
    )
    assert filled.not_found == ("park", "han")


@pytest.mark.parametrize("there", ["EX", "N/A"])
def test_excused_students_stay_excused(there: str) -> None:
    exported = EXPORT.replace("-5,,61", f"-5,{there},61")
    filled = fill_canvas(exported, [entry("kim", canvas_id="12")], "Homework 2")
    assert filled.text == exported
    assert filled.notices == (f"kim: the grade {there} is already there and was not changed",)


def test_a_teacher_s_grade_is_not_taken_away_where_there_is_none_of_ours() -> None:
    exported = EXPORT.replace("-5,,61", "-5,9,61")
    filled = fill_canvas(exported, [entry("kim", None, canvas_id="12")], "Homework 2")
    assert filled.text == exported
    assert filled.notices == ("kim: the grade 9 is already there and was not changed",)


def test_another_maximum_is_told() -> None:
    filled = fill_canvas(EXPORT.replace("100,10,", "100,20,"), [entry("kim", canvas_id="12")], "Homework 2")
    assert filled.notices == (
        "the reports give up to 10 points, but the maximum in the LMS is 20: change it there first",
    )


def test_an_export_of_another_country_stays_one() -> None:
    exported = "\ufeff" + EXPORT.replace(",10,", ",10.00,").replace(", ", "@").replace(",", ";").replace("@", ", ")
    filled = fill_canvas(exported.replace("10.00", "10,00"), [entry("kim", 7.5, canvas_id="12")], "Homework 2")
    assert filled.text.startswith("\ufeffStudent;ID;")
    assert cells(filled.text, ";")[3] == ["Kim, Minsu", "12", "2021001", "minsu", "A, B", "-5", "7,5", "61"]


def test_names_that_are_formulas_are_neutralised() -> None:
    """Canvas writes a name that starts with an equals sign into a formula, and leaves the quotes in it as they are."""
    exported = EXPORT.replace('"Kim, Minsu"', '"=""=1""&HYPERLINK(""https://example.org"")&"""""')
    filled = fill_canvas(exported, [entry("kim", canvas_id="12")], "Homework 2")
    assert cells(filled.text)[3][0] == '\'="=1"&HYPERLINK("https://example.org")&""'


def test_a_teacher_s_own_columns_are_theirs() -> None:
    exported = "Student,ID,SIS Login ID,Section,Notes,Homework 2 (901)\nKim,12,minsu,A,-see me,\n"
    assert fill_canvas(exported, [entry("kim", canvas_id="12")], "Homework 2").text.endswith("A,-see me,10\n")


def test_first_and_last_names_may_be_apart() -> None:
    exported = (
        "LastName,FirstName,ID,SIS Login ID,Section,Homework 2 (901)\n"
        "    Points Possible,,,,,10\nKim,Minsu,12,minsu,A,\n"
    )
    assert fill_canvas(exported, [entry("kim", canvas_id="12")], "Homework 2").text.endswith(
        "Kim,Minsu,12,minsu,A,10\n"
    )


def test_without_an_export_a_new_one_has_those_whose_id_is_known() -> None:
    filled = fill_canvas(
        None, [entry("=kim", canvas_id="12"), entry("lee", None, canvas_id="13"), entry("han")], "Homework 2"
    )
    assert cells(filled.text) == [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Homework 2"],
        ["    Points Possible", "", "", "", "", "10"],
        ["'=kim", "12", "", "", "", "10"],
        ["lee", "13", "", "", "", ""],
    ]
    assert filled.not_found == ("han",)


@pytest.mark.parametrize(
    ("exported", "title", "reason"),
    [
        (
            EXPORT,
            "Homework",
            "has no column Homework; name one of these .*: Homework 1 \\(900\\), Homework 2 \\(901\\)",
        ),
        (EXPORT.replace("Homework 1", "Homework 2"), "Homework 2", "has more than one column Homework 2"),
        ("Name,Grade\nKim,1\n", "Homework 2", "no column ID; in Canvas' gradebook choose Export"),
    ],
)
def test_what_cannot_be_filled_in_is_refused(exported: str, title: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        fill_canvas(exported, [entry("kim", canvas_id="12")], title)


def test_two_submissions_of_one_student_are_refused() -> None:
    with pytest.raises(InputError, match="kim and kim_again have the same canvas_id 12; leave one out"):
        fill_canvas(EXPORT, [entry("kim", canvas_id="12"), entry("kim again", canvas_id="12")], "Homework 2")

"""Moodle's worksheet comes back with grades and comments, in whatever language, and all else as it was."""

from __future__ import annotations

import pytest

from grader.errors import InputError
from grader.gradebook import GradebookEntry, fill_moodle
from tests.support.gradebook_entries import cells, entry, report

WORKSHEET = (
    'Identifier,"Full name","Email address",Status,Grade,"Maximum Grade","Grade can be changed",'
    '"Last modified (submission)","Online text","Last modified (grade)","Feedback comments"\n'
    '"Participant 101","Minsu Kim",minsu@example.org,"Submitted for grading",,10.00,Yes,"Monday, 4 May 2026, 10:31 AM",'
    '"<p>=1</p>",-,\n'
    '"Participant 102","Yuna Lee",yuna@example.org,"Submitted for grading",,10.00,Yes,"Monday, 4 May 2026, 11:02 AM",'
    ",-,\n"
)
GERMAN = (
    "\ufeffID;Vollständiger Name;Status;Bewertung;Beste Bewertung;Bewertung kann geändert werden;"
    "Zuletzt geändert (Bewertung);Feedback als Kommentar\r\n"
    "Teilnehmer/in101;Minsu Kim;Abgegeben;;10,00;Ja;-;\r\n"
    "Teilnehmer/in102;Yuna Lee;Abgegeben;;10,00;Ja;-;\r\n"
)
KOREAN = (
    "식별자,전체 이름,상태,성적,최고 성적,성적 변경 가능,최종 수정 (성적),피드백\n"
    "참가자 101,김민수,채점을 위해 제출,,10.00,예,-,\n"
    "참가자 102,이유나,채점을 위해 제출,8.00,10.00,예,2026년 5월 4일 10:31,좋아요\n"
)


def kim(
    points: float | None = 10, name: str = "Minsu Kim", number: str = "101", pending: bool = False
) -> GradebookEntry:
    return entry(name, points, pending, moodle_participant=number)


def row_of(text: str, identifier: str, delimiter: str = ",") -> list[str]:
    (row,) = [row for row in cells(text, delimiter) if row[0] == identifier]
    return row


def test_grade_and_comment_are_filled_in_and_nothing_else_changes() -> None:
    filled = fill_moodle(WORKSHEET, [kim(7.5)])
    before, after = cells(WORKSHEET), cells(filled.text)
    assert after[1][4] == "7.5"
    assert after[1][10] == "7.5 of 10 points<br>LeNet: 3.5 of 6. right in every case"
    assert [row[:4] + row[5:10] for row in after] == [row[:4] + row[5:10] for row in before]
    assert after[2] == before[2]
    assert (filled.without_grade, filled.not_found, filled.notices) == ((), (), ())


def test_a_german_worksheet_keeps_its_delimiter_its_commas_and_its_mark() -> None:
    filled = fill_moodle(GERMAN, [kim(7.5)])
    assert filled.text.startswith("\ufeffID;Vollständiger Name;")
    assert row_of(filled.text, "Teilnehmer/in101", ";")[3:5] == ["7,5", "10,00"]
    assert row_of(filled.text, "Teilnehmer/in101", ";")[7].startswith("7.5 of 10 points")
    assert filled.text.endswith("Teilnehmer/in102;Yuna Lee;Abgegeben;;10,00;Ja;-;\r\n")


def test_a_korean_worksheet_is_understood() -> None:
    filled = fill_moodle(KOREAN, [kim(name="김민수"), kim(name="이유나", number="102")])
    assert row_of(filled.text, "참가자 101")[3] == "10"
    assert row_of(filled.text, "참가자 102")[3] == "10"
    assert filled.notices == ("1 existing feedback comments are replaced",)


def test_who_has_no_final_grade_gets_a_comment_and_no_grade() -> None:
    filled = fill_moodle(WORKSHEET, [kim(pending=True), kim(None, "Yuna Lee", "102")])
    assert row_of(filled.text, "Participant 101")[4] == ""
    assert row_of(filled.text, "Participant 101")[10].startswith(
        "No grade yet: 6 of 10 points are still to be decided<br>4 of 10 points<br>LeNet: not yet decided."
    )
    assert row_of(filled.text, "Participant 102")[4] == ""
    assert filled.without_grade == (
        "Minsu Kim: 6 of 10 points are still to be decided",
        "Yuna Lee: it was not graded",
    )


def test_a_teacher_s_grade_is_not_taken_away_where_there_is_none_of_ours() -> None:
    filled = fill_moodle(KOREAN, [kim(None, "이유나", "102")])
    assert row_of(filled.text, "참가자 102")[3] == "8.00"
    assert "이유나: the grade 8.00 is already there and was not changed" in filled.notices


def test_our_own_faults_are_not_told_to_students() -> None:
    broken = GradebookEntry(
        "kim", "Minsu Kim", {"moodle_participant": "101"}, None, "/var/lib/grader: no space left", True
    )
    filled = fill_moodle(WORKSHEET, [broken])
    assert row_of(filled.text, "Participant 101")[10] == "No grade yet: it could not be graded, which is not your fault"
    assert filled.without_grade == ("Minsu Kim: /var/lib/grader: no space left",)


def test_what_a_message_quotes_of_the_student_s_code_is_text() -> None:
    quoting = GradebookEntry(
        "kim", "Minsu Kim", {"moodle_participant": "101"}, report(4, message="<script>alert(1)</script> " + "x" * 999)
    )
    comment = row_of(fill_moodle(WORKSHEET, [quoting]).text, "Participant 101")[10]
    assert "&lt;script&gt;" in comment
    assert "<script>" not in comment
    assert len(comment) < 500


def test_formulas_in_what_students_write_are_neutralised() -> None:
    worksheet = WORKSHEET.replace('"<p>=1</p>"', "\"=cmd|' /C calc'!A0\"").replace('"Yuna Lee"', "@Yuna")
    text = fill_moodle(worksheet, [kim()]).text
    assert row_of(text, "Participant 101")[8] == "'=cmd|' /C calc'!A0"
    assert row_of(text, "Participant 102")[1] == "'@Yuna"


def test_who_is_not_in_the_worksheet_is_named() -> None:
    filled = fill_moodle(WORKSHEET, [kim(), kim(name="Seojun Park", number="103"), entry("Han")])
    assert filled.not_found == ("Seojun Park", "Han")


def test_a_number_alone_is_not_enough() -> None:
    """A group's number may be that of somebody else's participant."""
    filled = fill_moodle(WORKSHEET, [kim(name="Group 7")])
    assert cells(filled.text) == cells(WORKSHEET)
    assert filled.not_found == ("Group 7",)


def test_members_of_a_group_get_its_grade() -> None:
    header, first, second = WORKSHEET.splitlines(keepends=True)
    worksheet = header.replace("Status,", "Status,Group,") + "".join(
        row.replace('"Submitted for grading",', '"Submitted for grading","Group 7",') for row in (first, second)
    )
    filled = fill_moodle(worksheet, [kim(8, "Group 7", "55")])
    assert [row[5] for row in cells(filled.text)[1:]] == ["8", "8"]
    assert filled.not_found == ()


def test_names_that_a_file_cannot_hold_agree_all_the_same() -> None:
    worksheet = WORKSHEET.replace("Minsu Kim", "Minsu O'Kim/Lee")
    assert row_of(fill_moodle(worksheet, [kim(name="Minsu OKimLee")]).text, "Participant 101")[4] == "10"


def test_blind_marking_goes_by_the_number() -> None:
    worksheet = (
        'Identifier,Status,Grade,"Maximum Grade","Grade can be changed","Last modified (grade)","Feedback comments"\n'
        '"Participant 101",Submitted,,10.00,Yes,-,\n'
    )
    assert row_of(fill_moodle(worksheet, [kim(name="Participant")]).text, "Participant 101")[2] == "10"


@pytest.mark.parametrize("time", ["-", "Monday, 4 May 2026, 10:31 AM"])
def test_a_worksheet_without_comments_gets_grades_alone(time: str) -> None:
    worksheet = KOREAN.replace(",피드백", "").replace("-,\n", f'"{time}"\n').replace(",좋아요", "")
    filled = fill_moodle(worksheet, [kim(name="김민수")])
    assert row_of(filled.text, "참가자 101")[3:] == ["10", "10.00", "예", time]
    assert filled.notices == ("the worksheet has no column for feedback comments, so it has grades alone",)


def test_another_maximum_is_told() -> None:
    filled = fill_moodle(WORKSHEET.replace("10.00", "100.00"), [kim()])
    assert filled.notices == (
        "the reports give up to 10 points, but the maximum in the LMS is 100.00: change it there first",
    )


@pytest.mark.parametrize(
    ("worksheet", "reason"),
    [
        ("Name,Grade\nKim,1\nLee,2\n", "no column holds identifiers"),
        (WORKSHEET.replace("10.00", "good"), "must be graded in points"),
        (
            KOREAN.replace("상태", "번호").replace("채점을 위해 제출", "7").replace("김민수", "").replace("이유나", ""),
            "in English",
        ),
    ],
)
def test_what_cannot_be_filled_in_is_refused(worksheet: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        fill_moodle(worksheet, [kim()])

"""The alarms of a class: what many share is counted once for each submission, and what one has is no alarm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from grader.results.alarms import Alarm, AlarmCounter
from grader.results.notice import CellStop, Notice, NoticeKind
from grader.results.report import CellResult, ItemResult, Report, Verdict

TQDM = Notice("tqdm is not installed here", NoticeKind.MISSING_PACKAGE, "tqdm", "hw2.ipynb")


def report_of(*notices: Notice, cells: Sequence[CellResult] = ()) -> Report:
    return Report("hw2", "Homework 2", "r1", (), (), cells=tuple(cells), notices=notices)


def stopped(error: str) -> Report:
    return report_of(cells=[CellResult("hw2.ipynb", 0, "raised", error, (CellStop(1, error),))])


def alarms_of(*reports: Report) -> tuple[Alarm, ...]:
    counter = AlarmCounter()
    for report in reports:
        counter.add(report)
    return counter.alarms()


def test_a_package_that_many_import_is_named_with_its_share_and_with_what_to_do() -> None:
    (alarm,) = alarms_of(*[report_of(TQDM)] * 12, *[report_of()] * 18)
    assert str(alarm).startswith("12 of 30: tqdm is not installed here; install it")


def test_a_submission_counts_once_however_often_it_says_the_same() -> None:
    (alarm,) = alarms_of(*[report_of(TQDM, TQDM, Notice("again", TQDM.kind, "tqdm", "b.ipynb"))] * 3, report_of())
    assert (alarm.count, alarm.total) == (3, 4)


@pytest.mark.parametrize(("having", "others", "alarmed"), [(1, 0, 0), (1, 9, 0), (2, 1, 1), (2, 30, 0), (3, 997, 1)])
def test_what_only_one_or_few_of_a_large_class_have_is_no_alarm(having: int, others: int, alarmed: int) -> None:
    assert len(alarms_of(*[report_of(TQDM)] * having, *[report_of()] * others)) == alarmed


def test_the_most_frequent_cause_comes_first() -> None:
    hidden = Notice("`from numpy import *` replaces sum", NoticeKind.HIDDEN_NAME, "sum")
    found = alarms_of(*[report_of(TQDM)] * 3, *[report_of(hidden)] * 4)
    assert [alarm.subject for alarm in found] == ["sum", "tqdm"]


def test_remarks_and_a_missing_gpu_cost_nothing_and_are_no_alarm() -> None:
    assert alarms_of(*[report_of(Notice("it was run as Python"), Notice("no GPU", NoticeKind.NO_GPU))] * 9) == ()


def test_unreadable_files_are_one_cause_whatever_their_names() -> None:
    files = [Notice("is empty", NoticeKind.UNREADABLE_FILE, f"{name}.ipynb") for name in "abc"]
    (alarm,) = alarms_of(*map(report_of, files))
    assert alarm.text == "a file cannot be read"


def test_the_same_helper_file_in_different_folders_is_one_cause() -> None:
    files = [Notice("too large", NoticeKind.SKIPPED_FILE, f"student-{number}/weights.pt") for number in range(3)]
    (alarm,) = alarms_of(*map(report_of, files))
    assert alarm.subject == "weights.pt"


def test_an_error_of_the_file_system_in_many_cells_is_an_alarm_and_an_error_of_students_is_none() -> None:
    (alarm,) = alarms_of(
        *[stopped("FileNotFoundError: /content/drive/data.csv")] * 3,
        *[stopped("NameError: name 'k' is not defined")] * 9,
    )
    assert alarm.text == "a cell stopped with FileNotFoundError: /content/drive/data.csv"


def test_a_cell_that_stops_for_a_package_which_a_notice_names_is_not_a_second_cause() -> None:
    stop = CellResult("hw2.ipynb", 0, "raised", "", (CellStop(1, "ModuleNotFoundError: No module named 'tqdm'"),))
    assert len(alarms_of(*[report_of(TQDM, cells=[stop])] * 3)) == 1


def test_a_limit_that_many_reach_is_an_alarm() -> None:
    (alarm,) = alarms_of(*[report_of(cells=[CellResult("hw2.ipynb", 2, "timed out", "ran past 60 s")])] * 3)
    assert "cell_seconds" in alarm.advice


def trained(accuracy: float, verdict: Verdict, mode: str = "quick", key: str = "runs") -> Report:
    evidence = {"training": {"mode": mode, key: [{"accuracy": 0.1}, {"accuracy": accuracy}]}}
    item = ItemResult("lenet.training", "7.6.2", "LeNet learns", 0, 8, verdict, "a person decides", evidence=evidence)
    return replace(report_of(), items=(item,))


@pytest.mark.parametrize(
    ("report", "alarmed"),
    [
        (trained(1.0, Verdict.PENDING), True),
        (trained(0.85, Verdict.PENDING), False),
        (trained(0.93, Verdict.PENDING, "full"), False),
        (trained(0.99, Verdict.PENDING, "full"), True),
        (trained(1.0, Verdict.PASSED, key="own"), True),
        (trained(1.0, Verdict.PASSED), False),  # it was trained by the grader
    ],
)
def test_an_accuracy_that_no_right_model_reaches_is_an_alarm_even_if_one_has_it(report: Report, alarmed: bool) -> None:
    counter = AlarmCounter()
    counter.add(report, "Kim")
    for _ in range(99):
        counter.add(report_of())
    assert ["(Kim, lenet.training: " in str(alarm) for alarm in counter.alarms()] == [True] * alarmed

"""The entries of a batch are read from its journal, and the command writes them for import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from grader.errors import InputError
from grader.gradebook import read_entries
from grader.results.journal import JournalRecord, Status, append_record
from tests.support.gradebook_entries import cells, report

GRADER = Path(sys.executable).with_name("grader")


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """A batch of three: one is graded, one is no notebook, one met a fault of ours."""
    folder = tmp_path / "reports"
    folder.mkdir()
    (folder / "kim.json").write_text(report(7.5).to_json(), "utf-8")
    append_record(
        folder, JournalRecord("lee", "Yuna Lee", {}, "r1", "none", Status.UNREADABLE, "a.ipynb: no valid JSON")
    )
    identifiers = {"canvas_id": "12", "moodle_participant": "101"}
    graded = JournalRecord(
        "kim", "Minsu Kim", {}, "r1", "none", Status.GRADED, report="kim.json", identifiers=identifiers
    )
    append_record(folder, graded)
    append_record(folder, JournalRecord("han", "Jiwoo Han", {}, "r1", "none", Status.FAILED, "the sandbox broke"))
    return folder


def gradebook(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [GRADER, "gradebook", *arguments], cwd=folder, capture_output=True, text=True, encoding="utf-8", timeout=60
    )


def test_entries_come_in_order_of_their_keys(batch: Path) -> None:
    entries = read_entries(batch)
    assert [(entry.key, entry.problem, entry.system_error) for entry in entries] == [
        ("han", "the sandbox broke", True),
        ("kim", "", False),
        ("lee", "a.ipynb: no valid JSON", False),
    ]
    assert [entry.report for entry in entries] == [None, report(7.5), None]


def test_a_lost_report_costs_one_grade_and_not_the_gradebook(batch: Path) -> None:
    (batch / "kim.json").unlink()
    assert "kim.json: No such file or directory" in read_entries(batch)[1].held_back
    assert read_entries(batch)[1].system_error


def test_a_folder_without_a_batch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give the folder that `grader batch` wrote"):
        read_entries(tmp_path)


def test_the_command_writes_the_plain_gradebook(batch: Path) -> None:
    ran = gradebook(batch.parent, "reports", "--out", "grades.csv")
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", "")
    assert [row[0] for row in cells((batch.parent / "grades.csv").read_text("utf-8"))] == ["key", "han", "kim", "lee"]


def test_the_command_fills_in_what_canvas_exported(batch: Path) -> None:
    exported = (
        "\ufeffStudent,ID,SIS Login ID,Section,Homework 2 (901)\r\n    Points Possible,,,,10\r\n김민수,12,minsu,A,\r\n"
    )
    (batch.parent / "canvas.csv").write_text(exported, "utf-8", newline="")
    ran = gradebook(batch.parent, "reports", "--canvas", "canvas.csv", "--out", "import.csv")
    assert ran.returncode == 1
    assert (batch.parent / "import.csv").read_bytes().decode("utf-8") == exported.replace("A,\r\n", "A,7.5\r\n")
    assert ran.stderr.splitlines() == [
        "no grade: Jiwoo Han: the sandbox broke",
        "no grade: Yuna Lee: a.ipynb: no valid JSON",
        "not in canvas.csv: Jiwoo Han",
        "not in canvas.csv: Yuna Lee",
    ]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["reports", "--canvas", "missing.csv"], "missing.csv: it cannot be read (No such file or directory)"),
        (["reports", "--moodle", "cp949.csv"], "cp949.csv: it is not UTF-8"),
        (["reports", "--moodle", "a.csv", "--canvas", "b.csv"], "--canvas and --moodle exclude each other"),
        (["."], "give the folder that `grader batch` wrote"),
        (["reports", "--out", "no/where.csv"], "cannot write the report to no/where.csv"),
    ],
)
def test_the_command_says_what_is_wrong_in_one_line(batch: Path, arguments: list[str], reason: str) -> None:
    (batch.parent / "cp949.csv").write_bytes("식별자,성적".encode("cp949"))
    ran = gradebook(batch.parent, *arguments)
    assert ran.returncode == 2
    assert ran.stderr.startswith("grader: ")
    assert ran.stderr.count("\n") == 1
    assert reason in ran.stderr

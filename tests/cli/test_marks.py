"""`grader marks`: a class's written answers are exported, marked, and joined to everything that its batch wrote."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from grader.results.report import Report

GRADER = str(Path(sys.executable).with_name("grader"))
RUBRIC = """
title = "A number"
points = 3
packages = ["torch"]
[sections]
"1.1" = "Numbers"
[[items]]
id = "value"
section = "1.1"
title = "value is a number"
points = 1
names = ["value"]
[[items]]
id = "discussion.1.1"
section = "1.1"
title = "Discussion"
points = 2
marked_by = "person"
"""
TEST = """
from grader.testing import Student, item

@item("value")
def test_value_gives_one(student: Student) -> None:
    assert student.value() == 1
"""


def grader(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [GRADER, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", timeout=120
    )


class Course:
    """A folder with an assignment, a class, and the reports of its batch."""

    def __init__(self, folder: Path) -> None:
        self.reports, self.sheet = folder / "reports", folder / "marks.csv"
        self._class, self._assignment = folder / "class", folder / "first"
        self._assignment.mkdir()
        (self._assignment / "rubric.toml").write_text(RUBRIC)
        (self._assignment / "test_value.py").write_text(TEST)
        for name in ("kim", "lee"):
            self.hand_in(name, f"answer of {name}")

    def hand_in(self, name: str, answer: str) -> None:
        cells = [
            nbformat.v4.new_code_cell("def value(): return 1"),
            nbformat.v4.new_markdown_cell(f"# 1.1 Numbers\n## Discussion\n{answer}"),
        ]
        (self._class / name).mkdir(parents=True, exist_ok=True)
        (self._class / name / "hw.ipynb").write_text(nbformat.writes(nbformat.v4.new_notebook(cells=cells)))

    def batch(self) -> None:
        options = ("--assignment", self._assignment, "--training", "none", "--out", self.reports)
        ran = grader("batch", self._class, *options)
        assert ran.returncode == 0, ran.stderr

    def export(self) -> list[dict[str, str]]:
        ran = grader("marks", "export", self.reports)
        assert ran.returncode == 0, ran.stderr
        return list(csv.DictReader(io.StringIO(ran.stdout.removeprefix("\ufeff"), newline="")))

    def apply(self, **points: str) -> subprocess.CompletedProcess[str]:
        """Fill in points by key, with a comment, and apply the sheet."""
        rows = self.export()
        for row in rows:
            if row["key"] in points:
                row["points"], row["comment"] = points[row["key"]], f"<b>to</b> {row['key']}"
        with open(self.sheet, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return grader("marks", "apply", self.reports, self.sheet, "--by", "Kim")

    def scores(self) -> dict[str, float]:
        """Return the scores, on which everything that the batch wrote has to agree."""
        ran = grader("gradebook", self.reports)
        scores: dict[str, float] = {}
        for table in (ran.stdout, (self.reports / "gradebook.csv").read_text("utf-8")):
            for row in csv.DictReader(io.StringIO(table.removeprefix("\ufeff"))):
                report = Report.from_json((self.reports / f"{row['key']}.json").read_text("utf-8"))
                assert (float(row["score"]), float(row["pending"])) == (report.score, report.pending_points)
                assert f"{report.score} of 3 points" in (self.reports / f"{row['key']}.html").read_text("utf-8")
                assert scores.setdefault(row["key"], report.score) == report.score
        return scores


@pytest.fixture
def course(tmp_path: Path) -> Course:
    made = Course(tmp_path)
    made.batch()
    return made


@pytest.mark.slow
def test_marks_join_reports_gradebook_and_summary_and_stay_when_it_is_graded_again(course: Course) -> None:
    assert [(row["key"], row["text"], row["points"]) for row in course.export()] == [
        ("kim", "## Discussion\n\nanswer of kim", ""),
        ("lee", "## Discussion\n\nanswer of lee", ""),
    ]
    ran = course.apply(kim="1.5")
    assert (ran.returncode, ran.stdout) == (1, "1 marks applied; 1 answers not marked yet\n"), ran.stderr
    assert course.scores() == {"kim": 2.5, "lee": 1}
    page = (course.reports / "kim.html").read_text("utf-8")
    assert "&lt;b&gt;to&lt;/b&gt; kim" in page
    assert "answer of kim" in page
    assert "def value(): return 1" in page  # beside its result, also after marking
    assert [row["points"] for row in course.export()] == ["1.5", ""]

    course.hand_in("kim", "another answer")
    course.batch()
    assert course.scores() == {"kim": 2.5, "lee": 1}
    assert "another answer" in (course.reports / "kim.html").read_text("utf-8")

    ran = course.apply(lee="0", kim="2")
    assert (ran.returncode, ran.stdout) == (0, "2 marks applied; 0 answers not marked yet\n"), ran.stderr
    assert course.scores() == {"kim": 3, "lee": 1}
    kept = json.loads((course.reports / "marks.json").read_text("utf-8"))
    assert {key: [(mark["points"], mark["by"]) for mark in marks] for key, marks in kept.items()} == {
        "kim": [(2.0, "Kim")],
        "lee": [(0.0, "Kim")],
    }


def test_a_sheet_with_one_wrong_row_changes_nothing(course: Course) -> None:
    before = {path: path.read_bytes() for path in course.reports.rglob("*") if path.is_file()}
    ran = course.apply(kim="1", lee="2.5")
    assert ran.returncode == 2
    assert ran.stderr.startswith("grader: line 5 (lee, discussion.1.1): discussion.1.1 gives from 0 to 2 points")
    assert {path: path.read_bytes() for path in course.reports.rglob("*") if path.is_file()} == before


def test_an_unusable_sheet_is_refused_in_one_line(course: Course, tmp_path: Path) -> None:
    (tmp_path / "korean.csv").write_bytes("키,이름\n".encode("cp949"))
    (tmp_path / "fetched").mkdir()
    (tmp_path / "fetched" / "batch.json").touch()
    for reports, sheet, message in (
        (course.reports, tmp_path / "none.csv", "none.csv: it cannot be read"),
        (course.reports, tmp_path / "korean.csv", "save it as CSV UTF-8"),
        (tmp_path / "class", course.sheet, "give the folder that `grader batch` wrote"),
        (tmp_path / "fetched", course.sheet, "was fetched from a server"),
    ):
        course.sheet.write_text("key,item,points,comment\nkim,discussion.1.1,1,\n")
        ran = grader("marks", "apply", reports, sheet)
        assert (ran.returncode, ran.stdout) == (2, "")
        assert message in ran.stderr
        assert ran.stderr.count("\n") == 1
    (course.reports / "marks.json").write_text('{"kim": 3}')
    ran = grader("marks", "apply", course.reports, course.sheet)
    assert ran.returncode == 2
    assert "marks.json" in ran.stderr

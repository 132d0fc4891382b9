"""Golden submissions: each folder of `tests/submissions` holds what a student handed in, and what it must come to.

`expected.json` has `description`, `verdicts` (an item that is not named must be absent), `score`, `exit` (0: every item
passed, 1: some did not, 2: the file is no notebook), and where they matter `cells` (index to status),
`message_contains` (item to a part of its message) and `limits` (smaller than the assignment's).
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from grader.assignment import Assignment
from grader.errors import SubmissionError
from grader.grading.grade import grade
from grader.results.report import load_report_schema
from grader.sandbox.host.sandbox import Zygote
from grader.submission.submission import read_submission
from tests.support.paths import SUBMISSIONS

FOLDERS = sorted(path.parent for path in SUBMISSIONS.glob("*/expected.json"))


def expectation(folder: Path) -> dict[str, Any]:
    expected: dict[str, Any] = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    return expected


def notebooks(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.ipynb"))


def of_exit(code: int) -> list[Any]:
    found = [folder for folder in FOLDERS if (expectation(folder)["exit"] == 2) is (code == 2)]
    return [pytest.param(folder, id=folder.name) for folder in found]


@pytest.mark.parametrize("folder", of_exit(0))
def test_a_submission_comes_to_what_its_folder_says(folder: Path, zygote: Zygote, hw2: Assignment) -> None:
    expected = expectation(folder)
    limits = dataclasses.replace(hw2.limits, **expected.get("limits", {}))
    report = grade(read_submission(notebooks(folder)), dataclasses.replace(hw2, limits=limits), zygote)

    found = {item.id: item.verdict.value for item in report.items}
    messages = {item.id: f"{item.verdict}: {item.message}" for item in report.items}
    wanted = {item.id: expected["verdicts"].get(item.id, "absent") for item in hw2.tested}
    assert {name: messages[name] for name in wanted if found[name] != wanted[name]} == {}, wanted
    assert report.score == expected["score"]
    assert report.passed is (expected["exit"] == 0)
    # Nothing is trained here: what trainings come to is in tests/grading/test_trainings.py.
    assert {found[item.id] for item in hw2.trained} <= {"absent", "error", "failed", "pending"}
    assert {found[item.id] for item in hw2.by_person} == {"pending"}
    statuses = {str(cell.cell): cell.status for cell in report.cells}
    shown = expected.get("cells", {})
    assert {cell: statuses.get(cell) for cell in shown} == shown
    for name, part in expected.get("message_contains", {}).items():
        assert part in messages[name]
    jsonschema.validate(json.loads(report.to_json()), load_report_schema())


@pytest.mark.parametrize("folder", of_exit(2))
def test_a_file_that_is_no_notebook_is_refused_by_name(folder: Path) -> None:
    (file,) = notebooks(folder)
    with pytest.raises(SubmissionError) as refused:
        read_submission([file])
    assert str(refused.value).startswith(f"{file.name}: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("folder", [pytest.param(folder, id=folder.name) for folder in FOLDERS])
def test_what_a_folder_says_does_not_contradict_itself(folder: Path, hw2: Assignment) -> None:
    expected = expectation(folder)
    assert set(expected) <= {
        "cells", "description", "exit", "limits", "message_contains", "score", "verdicts"
    }  # fmt: skip
    points = {item.id: item.points for item in hw2.tested}
    verdicts: dict[str, str] = expected["verdicts"]
    assert set(verdicts) <= set(points)
    full = sum(points[name] for name, verdict in verdicts.items() if verdict == "passed")
    partly = sum(points[name] for name, verdict in verdicts.items() if verdict == "partial")
    assert full <= expected["score"] <= full + partly
    all_passed = all(verdicts.get(name) == "passed" for name in points)
    assert expected["exit"] in ({0} if all_passed else {1, 2})


def test_there_are_folders_to_grade() -> None:
    names = [path.name for path in SUBMISSIONS.iterdir()]
    assert sorted(names) == [folder.name for folder in FOLDERS]
    assert len(names) >= 40

"""Golden submissions: each folder of `tests/submissions` holds the files of a student and the report they must get.

`expected.json` has

- `description`: what is special about this submission;
- `limits`: limits smaller than the assignment's, if any;
- `verdicts`: the verdict of every item of the assignment, in its order;
- `misconceptions`: the id of the misconception that the report names, for each item that has one;
- `score`;
- `exit`: 0 if every tested item passed, 1 if not, 2 if no file is a notebook (and there are no verdicts);
- `cells`: the status of some cells by their index, if they matter;
- `message_contains`: a part of the message of some items, if it matters;
- `notices`: a part of the notices on some files, by the file's name.

For a new folder write `{"description": "..."}`, let the grader fill in the rest, and review the diff, each verdict:

    pytest tests/test_submissions.py --write-expected -k NAME_OF_THE_FOLDER
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from grader.assignment import Assignment
from grader.collection import read_submission
from grader.grading.grade import grade
from grader.grading.unreadable import report_unreadable
from grader.judging.loading import load_rubric
from grader.results.report import Report, load_report_schema
from grader.sandbox.host.sandbox import Zygote
from grader.submission.submission import Submission
from tests.support.paths import SUBMISSIONS

FOLDERS = sorted(path.parent for path in SUBMISSIONS.glob("*/expected.json"))
KEYS = (
    "description", "limits", "verdicts", "misconceptions", "score", "exit", "cells", "message_contains",
    "notices",
)  # fmt: skip
NO_NOTEBOOK = 2  # the exit code


def read_expected(folder: Path) -> dict[str, Any]:
    expected: dict[str, Any] = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    return expected


def read(folder: Path) -> Submission:
    """Return everything in a folder as one submission."""
    return read_submission(sorted(path for path in folder.iterdir() if path.name != "expected.json"))


def folders(*, readable: bool) -> list[Any]:
    matches = [folder for folder in FOLDERS if (read_expected(folder).get("exit") != NO_NOTEBOOK) is readable]
    return [pytest.param(folder, id=folder.name) for folder in matches]


def describe(report: Report, assignment: Assignment) -> dict[str, Any]:
    """Return what `expected.json` says about a report."""
    verdicts = {item.id: item.verdict.value for item in report.items}
    named = {item.id: item.misconception for item in report.items if item.misconception}
    return {
        "verdicts": verdicts,
        **({"misconceptions": named} if named else {}),
        "score": report.score,
        "exit": 0 if all(verdicts[item.id] == "passed" for item in assignment.tested) else 1,
    }


def write_expected(folder: Path, outcome: dict[str, Any]) -> None:
    """Fill in what the grader says, and keep what a person wrote."""
    expected = read_expected(folder)
    expected.pop("misconceptions", None)
    expected |= outcome
    in_order = {key: expected[key] for key in KEYS if key in expected}
    text = json.dumps(in_order, indent=2, ensure_ascii=False)
    (folder / "expected.json").write_text(f"{text}\n", encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("folder", folders(readable=True))
def test_a_submission_gets_the_report_that_its_folder_names(
    folder: Path, zygote: Zygote, hw2: Assignment, request: pytest.FixtureRequest
) -> None:
    limits = dataclasses.replace(hw2.limits, **read_expected(folder).get("limits", {}))
    report = grade(read(folder), dataclasses.replace(hw2, limits=limits), zygote)
    outcome = describe(report, hw2)
    if request.config.getoption("--write-expected"):
        write_expected(folder, outcome)

    expected = read_expected(folder)
    messages = {item.id: f"{item.verdict} ({item.misconception}): {item.message}" for item in report.items}
    assert list(outcome["verdicts"]) == list(expected["verdicts"])
    different = [name for name, verdict in outcome["verdicts"].items() if expected["verdicts"][name] != verdict]
    assert {name: messages[name] for name in different} == {}, expected["verdicts"]
    assert outcome.get("misconceptions", {}) == expected.get("misconceptions", {})
    assert report.score == expected["score"]
    assert report.passed is (expected["exit"] == 0)
    statuses = {str(cell.cell): cell.status for cell in report.cells}
    listed = expected.get("cells", {})
    assert {cell: statuses.get(cell) for cell in listed} == listed
    for name, part in expected.get("message_contains", {}).items():
        assert part in messages[name]
    require_notices(report, expected)
    jsonschema.validate(json.loads(report.to_json()), load_report_schema())


@pytest.mark.parametrize("folder", folders(readable=False))
def test_a_submission_without_a_notebook_gets_a_report_that_names_its_files(folder: Path, hw2: Assignment) -> None:
    report = report_unreadable(read(folder), hw2)
    (file,) = (path for path in folder.iterdir() if path.name != "expected.json")
    assert report.obstacle.startswith(f"{file.name}: ")
    assert "\n" not in report.obstacle
    assert {item.verdict.value for item in report.items} == {"pending"}
    assert [item.id for item in report.items] == [item.id for item in hw2.items]
    assert (report.score, report.pending_points, report.passed) == (0, report.max_score, False)
    require_notices(report, read_expected(folder))
    jsonschema.validate(json.loads(report.to_json()), load_report_schema())


def require_notices(report: Report, expected: dict[str, Any]) -> None:
    """Require the notices on files that `expected.json` names."""
    notices = {notice.subject: notice.text for notice in report.notices}
    for name, part in expected.get("notices", {}).items():
        assert part in notices[name]


def test_every_folder_lists_every_item_and_does_not_contradict_itself(hw2: Assignment) -> None:
    known = {misconception.id: misconception.breaks for misconception in load_rubric(hw2).misconceptions}
    wrong = {folder.name: text for folder in FOLDERS if (text := find_contradiction(read_expected(folder), hw2, known))}
    assert wrong == {}


def find_contradiction(expected: dict[str, Any], hw2: Assignment, known: dict[str, Any]) -> str:
    """Return what is wrong with an `expected.json`, or an empty string.

    Args:
        expected: its content.
        hw2: the assignment.
        known: the items that each misconception breaks, by its id.
    """
    if list(expected) != [key for key in KEYS if key in expected]:
        return f"keys: {list(expected)}"
    verdicts, named = expected["verdicts"], expected.get("misconceptions", {})
    if list(verdicts) != [item.id for item in hw2.items if expected["exit"] != NO_NOTEBOOK]:
        return f"items: {list(verdicts)}"
    broken = {name: [known.get(mistake, ()) for mistake in ids.split(" or ")] for name, ids in named.items()}
    if wrong := [name for name, items in broken.items() if not all(name in each for each in items)]:
        return f"misconceptions that do not break their item: {wrong}"
    if wrong := [name for name in named if verdicts[name] not in ("failed", "partial", "error")]:
        return f"misconceptions of items that passed: {wrong}"
    # Nothing is trained here, and a person marks the rest: tests/grading/test_trainings.py has the other verdicts.
    if {verdicts[item.id] for item in hw2.trained if verdicts} - {"absent", "error", "failed", "pending"}:
        return "a training was decided"
    if {verdicts[item.id] for item in hw2.by_person if verdicts} - {"pending"}:
        return "an item for a person was decided"
    full = sum(item.points for item in hw2.tested if verdicts.get(item.id) == "passed")
    partly = sum(item.points for item in hw2.tested if verdicts.get(item.id) == "partial")
    if not full <= expected["score"] <= full + partly:
        return f"the score is not between {full} and {full + partly}"
    if (expected["exit"] == 0) is not all(verdicts.get(item.id) == "passed" for item in hw2.tested):
        return "the exit code"
    return ""


def test_there_are_folders_to_grade() -> None:
    names = [path.name for path in SUBMISSIONS.iterdir()]
    assert sorted(names) == [folder.name for folder in FOLDERS]
    assert len(names) >= 40

"""Mutants are judged in processes of their own, and the table says what became of each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from grader.assignment import load_assignment
from grader.authoring.mutation.mutate import mutate
from grader.authoring.new import new_assignment
from grader.cli import app
from grader.errors import AssignmentError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small correct assignment."""
    new_assignment("spoilt", tmp_path)
    return tmp_path / "spoilt"


def test_mutants_of_a_small_assignment_are_caught(folder: Path) -> None:
    said: list[str] = []
    table = mutate(load_assignment(folder), only=["softmax"], limit=12, jobs=1, progress=said.append)
    assert len(table.mutants) == 12
    assert all(mutant.loses for mutant in table.mutants if mutant.caught and mutant.told)
    assert table.rows[-1].caught + table.rows[-1].equivalent + table.rows[-1].survived == 12
    assert said[-1] == "12 of 12 mutants: softmax"


def test_tests_that_cannot_fail_leave_survivors_and_an_exit_code(folder: Path) -> None:
    test = folder / "test_classification.py"
    test.write_text(test.read_text(encoding="utf-8").replace("assert_close(", "(lambda *_: None)("), encoding="utf-8")
    command = ["rubric", "mutate", str(folder), "--only", "softmax", "--limit", "8", "--jobs", "1", "--json", "-"]
    result = CliRunner().invoke(app, command)
    written = json.loads(result.stdout)
    assert result.exit_code == 1
    assert written["rows"][-1]["survived"] > 0
    assert not written["reaches_goal"]


def test_a_name_that_no_item_judges_is_refused(folder: Path) -> None:
    with pytest.raises(AssignmentError, match="nothing_here has no mutants"):
        mutate(load_assignment(folder), only=["nothing_here"])

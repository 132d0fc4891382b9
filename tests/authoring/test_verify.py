"""Verification accepts right rubrics and rejects wrong ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from grader.assignment import Assignment, load_assignment
from grader.authoring.new import new_assignment
from grader.authoring.verify import find_known_submissions, find_mutants, verify
from grader.cli import app
from grader.errors import AssignmentError
from grader.judging.loading import load_rubric
from grader.results.verification import Verification
from grader.sandbox.host.sandbox import Zygote
from tests.support.paths import ROOT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small correct assignment, for a test to break."""
    new_assignment("spoilt", tmp_path)
    return tmp_path / "spoilt"


def changed(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def verified(folder: Path, zygote: Zygote) -> Verification:
    return verify(load_assignment(folder), zygote)


@pytest.mark.slow
def test_the_hw2_rubric_is_right(zygote: Zygote, hw2: Assignment) -> None:
    verification = verify(hw2, zygote)
    assert [(each.name, each.verdict, each.why) for each in verification.checked if not each.right] == []
    assert len(verification.mutants) >= 40
    assert verification.survivors == ()
    assert verification.unneeded == ()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"Mutation score: {verification.caught} of {len(verification.mutants)} (100 %)" in readme
    nameless = [each.name for each in verification.mutants if not each.named]
    # Recorded values are not requested again.
    assert {each.replaces for each in verification.mutants if each.name in nameless} == {
        ("edge_image",), ("edge_kernel",), ("learn_kernel",)
    }  # fmt: skip


@pytest.mark.slow
def test_a_new_assignment_is_right(folder: Path, zygote: Zygote) -> None:
    verification = verified(folder, zygote)
    assert verification.perfect
    assert verification.unneeded == ()
    assert [each.kind for each in verification.checked[:3]] == ["solution", "empty", "alternative"]


@pytest.mark.slow
def test_a_test_that_cannot_fail_leaves_survivors(folder: Path, zygote: Zygote) -> None:
    text = (folder / "test_classification.py").read_text(encoding="utf-8")
    (folder / "test_classification.py").write_text(
        text.replace("assert_close(", "(lambda *_: None)("), encoding="utf-8"
    )
    verification = verified(folder, zygote)
    assert verification.survivors
    assert not verification.perfect


@pytest.mark.slow
def test_a_reference_that_is_wrong_shows_in_the_alternatives(folder: Path, zygote: Zygote) -> None:
    changed(folder / "reference" / "classification.py", ".float().mean()", ".float().sum()")
    verification = verified(folder, zygote)
    assert [each.kind for each in verification.checked if not each.right] == ["alternative", "mutant"]


def test_a_mutant_of_nothing_is_refused(folder: Path) -> None:
    changed(folder / "misconceptions" / "classification.py", '"softmax"', '"softmin"')
    with pytest.raises(AssignmentError, match="replaces softmin, which the reference lacks"):
        list(find_mutants(load_rubric(load_assignment(folder))))


def test_an_assignment_without_reference_is_refused(folder: Path) -> None:
    changed(folder / "rubric.toml", 'reference = "reference"', "")
    with pytest.raises(AssignmentError, match="names no reference"):
        list(find_known_submissions(load_rubric(load_assignment(folder))))


@pytest.mark.slow
def test_the_command_prints_json_and_fails_where_something_is_wrong(folder: Path) -> None:
    right = CliRunner().invoke(app, ["rubric", "verify", str(folder), "--json", "-"])
    assert right.exit_code == 0, right.output
    assert json.loads(right.stdout)["perfect"] is True
    (folder / "alternatives" / "wrong.py").write_text("def softmax(X):\n    return X\n", encoding="utf-8")
    wrong = CliRunner().invoke(app, ["rubric", "verify", str(folder)])
    assert wrong.exit_code == 1
    assert "alternative wrong loses" in wrong.stdout


def test_an_unknown_assignment_is_a_wrong_command() -> None:
    result = CliRunner().invoke(app, ["rubric", "verify", "nothing_of_this_name"])
    assert result.exit_code == 2
    assert "no assignment named 'nothing_of_this_name'" in result.stderr

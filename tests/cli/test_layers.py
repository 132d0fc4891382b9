"""On a machine without namespaces strangers' work is not graded, and a student's own check goes on."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.cli.runner_log import is_ci
from tests.support.command_line import GRADER, SECONDS, Ran, refused
from tests.support.notebooks import notebook_bytes
from tests.support.paths import ASSIGNMENTS
from tests.support.without_namespaces import WITHOUT_NAMESPACES

OPTIONS = ("--assignment", ASSIGNMENTS / "doubled", "--training", "none")
LAYERS = ("mount namespace, pid namespace, net namespace and private file system", "the limit on namespaces is reached")
REMEDIES = ("sudo sysctl -w user.max_user_namespaces=10000", "--unsafe")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of an ordinary user, with a notebook that earns 3 of 3 points. pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(prefix="layers-") as name:
        Path(name).chmod(0o777)
        content = notebook_bytes("def double(X): return X + X", "def halve(X): return X / 2")
        Path(name, "hw.ipynb").write_bytes(content)
        yield Path(name)


def run(folder: Path, *arguments: str | Path, **variables: str) -> Ran:
    """Run the grader as a user who can make no namespaces, outside CI unless `CI` is given."""
    return subprocess.run(
        [*WITHOUT_NAMESPACES, GRADER, *arguments],
        cwd=folder,
        env={**os.environ, "CI": "", "HOME": str(folder), "GRADER_KEY_FILE": "", "COLUMNS": "200", **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=SECONDS,
    )


def test_a_class_is_not_graded(folder: Path) -> None:
    ran = run(folder, "batch", "hw.ipynb", "--out", "reports", *OPTIONS)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.splitlines()[-1].startswith("grader: students' work is not graded here, because")
    assert all(part in ran.stderr.splitlines()[-1] for part in (*LAYERS, *REMEDIES))
    assert not list((folder / "reports").glob("*.json"))
    assert (folder / "reports" / "batch.jsonl").read_text() == ""


@pytest.mark.slow
@pytest.mark.parametrize("variables", [{}, {"GRADER_UNSAFE": "1"}], ids=["option", "variable"])
def test_a_class_is_graded_unsafely_if_one_says_so(folder: Path, variables: dict[str, str]) -> None:
    options = [] if variables else ["--unsafe"]
    ran = run(folder, "batch", "hw.ipynb", "--out", "reports", *OPTIONS, *options, **variables)
    assert ran.returncode == 0, ran.stderr
    assert "sandbox without" in ran.stderr
    assert "net namespace" in (folder / "reports" / "summary.html").read_text()
    assert "net namespace" in (folder / "reports" / "gradebook.csv").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("form", ["github", "junit", "gradescope"])
def test_a_format_for_ci_is_not_written(folder: Path, form: str) -> None:
    refused(run(folder, "check", "hw.ipynb", *OPTIONS, "--format", form), *LAYERS, *REMEDIES)


@pytest.mark.slow
def test_nothing_is_checked_in_ci(folder: Path) -> None:
    refused(run(folder, "check", "hw.ipynb", *OPTIONS, CI="true"), *LAYERS, *REMEDIES)
    refused(run(folder, "check", "hw.ipynb", *OPTIONS, "--item", "double", CI="true"), *LAYERS, *REMEDIES)
    ran = run(folder, "check", "hw.ipynb", *OPTIONS, "--format", "junit", "--unsafe", CI="true")
    assert ran.returncode == 0, ran.stderr
    assert '<property name="sandbox" value="sandbox without' in ran.stdout


def test_a_students_own_check_goes_on_after_a_first_line(folder: Path) -> None:
    ran = run(folder, "check", "hw.ipynb", *OPTIONS)
    assert ran.returncode == 0, ran.stderr
    first, *others = ran.stdout.splitlines()
    assert first.startswith("note: ")
    assert all(part in first for part in (*LAYERS, REMEDIES[0]))
    assert any("3 / 3 points" in line for line in others)


@pytest.mark.slow
def test_the_first_line_spoils_no_report_on_standard_output(folder: Path) -> None:
    ran = run(folder, "check", "hw.ipynb", *OPTIONS, "--json", "-")
    assert json.loads(ran.stdout)["score"] == 3
    assert ran.stderr.startswith("note: ")
    assert "note: " in run(folder, "check", "hw.ipynb", *OPTIONS, "--item", "double").stdout


@pytest.mark.parametrize(("value", "expected"), [("true", True), ("1", True), ("", False), ("false", False)])
def test_ci_is_told_by_its_variable(monkeypatch: pytest.MonkeyPatch, value: str, expected: bool) -> None:
    monkeypatch.setenv("CI", value)
    assert is_ci() is expected

"""Tests of grader/cli/handover.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from grader.assignment import Assignment
from grader.cli.handover import hand_over, hand_over_to_new
from grader.resident.endpoint import SUFFIX
from tests.support.notebooks import CORR2D, notebook_bytes
from tests.support.resident import open_resident_commands

_CHECK = ["check", "hw2.ipynb", "--training", "none"]


@pytest.mark.parametrize(
    ("words", "variables"),
    [
        ([*_CHECK, "--no-daemon"], {}),
        (_CHECK, {"GRADER_NO_DAEMON": "1"}),
        (_CHECK, {"CI": "true"}),
        (_CHECK, {"GITHUB_ACTIONS": "true"}),
    ],
)
def test_in_ci_and_if_it_is_not_wanted_there_is_none(
    tmp_path: Path, words: list[str], variables: dict[str, str]
) -> None:
    with open_resident_commands(tmp_path) as commands:
        (commands.folder / "hw2.ipynb").write_bytes(notebook_bytes(CORR2D))
        assert commands.run(*words, **variables).returncode == 1
        assert list(commands.sockets.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--version"],
        ["doctor"],
        ["gradebook", "reports"],
        ["check", "--help"],
        ["check", "hw2.ipynb", "--devices", "0"],
        ["check", "hw2.ipynb", "--devices=all"],
        ["no_such_file.ipynb"],
    ],
)
def test_other_commands_are_not_handed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hw2: Assignment, words: list[str]
) -> None:
    monkeypatch.delenv("GRADER_NO_DAEMON")
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("GRADER_DAEMON_DIR", str(tmp_path / "sockets"))
    monkeypatch.setattr(sys, "argv", ["grader", *words])
    monkeypatch.delitem(sys.modules, "torch")
    assert hand_over(words) is None
    hand_over_to_new(hw2)
    assert not (tmp_path / "sockets").exists()


@pytest.mark.slow
def test_a_wrong_command_starts_none(tmp_path: Path) -> None:
    with open_resident_commands(tmp_path) as commands:
        (commands.folder / "hw2.ipynb").write_text("no notebook")
        assert commands.run(*_CHECK).returncode == 2
        assert commands.run("check", "hw2.ipynb", "--assignment", "hw99").returncode == 2
        assert not list(commands.sockets.glob(f"*{SUFFIX}"))


@pytest.mark.slow
def test_without_a_private_folder_a_command_runs_by_itself(tmp_path: Path) -> None:
    with open_resident_commands(tmp_path) as commands:
        commands.sockets.chmod(0o755)
        (commands.folder / "hw2.ipynb").write_bytes(notebook_bytes(CORR2D))
        ran = commands.run(*_CHECK)
        assert (ran.returncode, ran.stderr) == (1, "")
        assert list(commands.sockets.iterdir()) == []


@pytest.mark.slow
def test_one_that_cannot_start_costs_a_command_only_time(tmp_path: Path) -> None:
    with open_resident_commands(tmp_path) as commands:
        (commands.folder / "hw2.ipynb").write_bytes(notebook_bytes(CORR2D))
        ran = commands.run(*_CHECK, GRADER_DAEMON_SECONDS="a while")
        assert ran.returncode == 1
        assert "corr2d" in ran.stdout
        assert "starting again without it" in ran.stderr

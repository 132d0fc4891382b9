"""`grader check --item`: a real process that shows hints, and says in one line what it cannot do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.notebooks import CORR2D, notebook_bytes

GRADER = Path(sys.executable).with_name("grader")
WRONG = CORR2D.replace("* K", "+ K")

Ran = subprocess.CompletedProcess[str]


def run(folder: Path, *arguments: str) -> Ran:
    return subprocess.run(
        [GRADER, "check", "homework.ipynb", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "homework.ipynb").write_bytes(notebook_bytes(WRONG))
    return tmp_path


def test_an_item_is_shown_with_as_many_hints_as_are_asked_for(folder: Path) -> None:
    first = run(folder, "--item", "corr2d.values")
    assert first.returncode == 1, first.stderr
    assert first.stderr == ""
    assert first.stdout.startswith("✗ corr2d.values  0 / 6  corr2d computes the 2-D cross-correlation\n")
    assert "More: the same command with --item corr2d.values --hint 2" in first.stdout
    assert "expected" not in first.stdout
    assert "expected" in run(folder, "--item", "corr2d.values", "--hint", "3").stdout


def test_items_that_are_right_end_well_whatever_the_others_are(folder: Path) -> None:
    ran = run(folder, "--item", "corr2d.shape", "--item", "corr2d.sh")
    assert ran.returncode == 0
    assert ran.stdout == "✓ corr2d.shape  3 / 3  corr2d's output has the right shape\n  right\n"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--item", "corr3d"], "no item of hw2 is called 'corr3d': did you mean corr2d"),
        (["--item", "corr2d", "--json", "r.json"], "--item and --watch show hints on the terminal"),
        (["--watch", "--min-score", "60"], "--item and --watch show hints on the terminal"),
        (["--hint", "2"], "--hint needs --item: give --item ID as well"),
        (["--watch", "--assignment", "hw9"], "no assignment named 'hw9'"),
        (["missing.ipynb", "--watch"], "missing.ipynb: cannot be read"),
    ],
)
def test_what_makes_no_sense_is_said_in_a_line(folder: Path, arguments: list[str], reason: str) -> None:
    ran = run(folder, *arguments)
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert reason in ran.stderr
    assert ran.stderr.count("\n") == 1

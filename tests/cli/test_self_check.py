"""`grader check --item`: a real process that shows hints, and reports errors in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import Ran, Run
from tests.support.notebooks import CORR2D, notebook_bytes

WRONG = CORR2D.replace("* K", "+ K")


@pytest.fixture
def check(run_here: Run, tmp_path: Path) -> Run:
    """Check a notebook in which corr2d is wrong."""
    (tmp_path / "homework.ipynb").write_bytes(notebook_bytes(WRONG))

    def call(*arguments: str) -> Ran:
        return run_here("check", "homework.ipynb", *arguments)

    return call


def test_an_item_is_shown_with_the_requested_number_of_hints(check: Run) -> None:
    first = check("--item", "corr2d.values")
    assert first.returncode == 1, first.stderr
    assert first.stderr == ""
    assert first.stdout.startswith("✗ corr2d.values  0 / 6  corr2d computes the 2-D cross-correlation\n")
    assert "More: the same command with --item corr2d.values --hint 2" in first.stdout
    assert "expected" not in first.stdout
    assert "expected" in check("--item", "corr2d.values", "--hint", "3").stdout


def test_the_exit_code_depends_on_the_requested_items_only(check: Run) -> None:
    ran = check("--item", "corr2d.shape", "--item", "corr2d.sh")
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
        (["missing.ipynb", "--watch"], "missing.ipynb: there is no such file"),
    ],
)
def test_invalid_options_are_refused_in_one_line(check: Run, arguments: list[str], reason: str) -> None:
    ran = check(*arguments)
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert reason in ran.stderr
    assert ran.stderr.count("\n") == 1

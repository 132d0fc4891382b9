"""The README says what is so."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console
from typer.testing import CliRunner

from grader.assignment import Assignment
from grader.cli import app
from grader.grading.grade import grade
from grader.models.recipe import Mode
from grader.render import render_terminal
from grader.sandbox.host.sandbox import Zygote
from grader.sandbox.jail.isolation import LAYERS
from grader.submission.submission import read_submission
from grader.training.trainer import Trainer
from tests.support.paths import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_readme_shows_the_report_that_the_example_gets(zygote: Zygote, hw2: Assignment, trainer: Trainer) -> None:
    example = read_submission([ROOT / "examples" / "hw2.ipynb"])
    report = grade(example, hw2, zygote, mode=Mode.QUICK, trainer=trainer)
    console = Console(file=io.StringIO(), width=80)
    render_terminal(report, console)
    assert isinstance(console.file, io.StringIO)
    printed = [line.rstrip() for line in console.file.getvalue().split("\n")]
    shown = [line.removeprefix("    ") for line in README.split("\n")]
    last = next(number for number, line in enumerate(printed) if hw2.items[-1].id in line)
    end = printed.index("", last)
    start = shown.index("HW2: Convolutional Neural Networks  hw2")
    assert _without_shares(shown[start : start + end + 1]) == _without_shares(printed[: end + 1])


def _without_shares(lines: list[str]) -> list[str]:
    """Leave out how many images a model is right on: processors differ in the last bits, and after an epoch in more."""
    return [re.sub(r"right on \d+\.\d%", "right on N%", line) for line in lines]


def test_every_command_of_the_readme_exists() -> None:
    known = set(re.findall(r"│ (\w+) ", CliRunner().invoke(app, ["--help"], env={"COLUMNS": "100"}).output))
    shown = set(re.findall(r"^    grader (\w+)", README, flags=re.MULTILINE))
    assert shown
    assert shown <= known


def test_every_make_target_of_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"make ([a-z]+)", README)) - {"leaves"} <= targets


def test_the_sandbox_page_has_every_layer() -> None:
    page = (ROOT / "docs" / "sandbox.md").read_text(encoding="utf-8").lower()
    table = "".join(line for line in page.split("\n") if line.startswith("|"))
    for layer in LAYERS:
        assert layer.removesuffix(" namespace").removesuffix(" cgroup") in table

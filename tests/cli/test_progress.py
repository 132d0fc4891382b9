"""What a command that works shows on a real terminal, and what it leaves out elsewhere."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import pytest

from grader.cli.progress import show_progress
from tests.support.command_line import GRADER, SECONDS
from tests.support.notebooks import CORR2D, notebook_bytes
from tests.support.processes import wait_until
from tests.support.pseudo_terminal import Shown, show_on_terminal

NAME = "a name that is longer than a narrow terminal.ipynb"


def check(folder: Path, columns: int, **variables: str | None) -> Shown:
    command: list[str | Path] = [GRADER, "check", NAME, "--training", "none", "--json", "report.json"]
    return show_on_terminal(command, folder, columns, variables=variables, seconds=SECONDS)


@pytest.mark.slow
@pytest.mark.parametrize("columns", [80, 44, 40])
def test_a_terminal_shows_the_seconds_the_cell_and_the_whole_name(tmp_path: Path, columns: int) -> None:
    (tmp_path / NAME).write_bytes(notebook_bytes("import time\ntime.sleep(1.5)", CORR2D))
    shown = check(tmp_path, columns)
    assert shown.code == 1
    words = shown.text.split()
    assert " ".join(words).count("cell 1 of 2") >= 5  # it goes on while the cell runs
    seconds = {int(number) for number, unit in pairwise(words) if unit == "s" and number.isdigit()}
    assert len(seconds) >= 2  # the seconds go on as well
    assert "terminal.ipynb" in shown.text
    assert shown.raw.count("\x1b[?25l") == shown.raw.count("\x1b[?25h")  # the cursor is there again


@pytest.mark.slow
@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {"CI": "true"}])
def test_a_dumb_terminal_and_a_log_of_ci_get_no_line_that_moves(tmp_path: Path, variables: dict[str, str]) -> None:
    (tmp_path / NAME).write_bytes(notebook_bytes(CORR2D))
    shown = check(tmp_path, 80, **variables, GRADER_UNSAFE="1")
    assert shown.code == 1
    assert "starting the sandbox" not in shown.text
    assert "\x1b[?25l" not in shown.raw


def test_where_there_is_no_terminal_only_long_work_says_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress(seconds_between_lines=30) as progress:
        progress("running a.ipynb")
    assert capsys.readouterr().err == ""
    printed = []
    with show_progress(seconds_between_lines=0.02) as progress:
        progress("running \x1b[31ma.ipynb")

        def read() -> bool:
            sys.stderr.flush()
            printed.append(capsys.readouterr().err)
            return "0 s: running a.ipynb\n" in "".join(printed)

        assert wait_until(read)
    capsys.readouterr()
    assert "\x1b" not in "".join(printed)

"""What a command line names as the submission: standard input, a name twice, names that are misspelt."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.command_line import GRADER, SECONDS, Run, refused
from tests.support.notebooks import CORR2D, CORR2D_POINTS, notebook_bytes
from tests.support.pseudo_terminal import show_on_terminal


@pytest.mark.slow
def test_a_notebook_is_read_from_standard_input(tmp_path: Path) -> None:
    done = subprocess.run(
        [GRADER, "-", "--training", "none", "--json", "-", "--format", "junit=grader.xml"],
        cwd=tmp_path,
        input=notebook_bytes(CORR2D),
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert report["score"] == CORR2D_POINTS
    assert [file["name"] for file in report["files"]] == ["standard-input.ipynb"]
    assert "standard-input.ipynb" in (tmp_path / "grader.xml").read_text("utf-8")


def test_standard_input_is_one_notebook_and_no_terminal(run: Run, tmp_path: Path) -> None:
    refused(run("check", "-", "x.py"), "takes no files beside")
    refused(run("check", "-", "--watch"), "--watch needs a file")
    refused(run("check", "-"), "standard-input.ipynb", "the file is empty")
    shown = show_on_terminal([GRADER, "check", "-"], tmp_path, 80, seconds=SECONDS)
    assert shown.code == 2
    assert "which is a terminal" in shown.text


def test_a_misspelt_name_gets_the_near_ones(run: Run, tmp_path: Path) -> None:
    (tmp_path / "hw2_ch7.ipynb").write_bytes(notebook_bytes(CORR2D))
    refused(run("hw2_ch7.ipyn"), "hw2_ch7.ipyn: there is no such file; did you mean hw2_ch7.ipynb?")
    refused(run("check", "hw3_ch7.ipynb"), "did you mean hw2_ch7.ipynb?")
    refused(run("check", "other"), "other: there is no such file; check its name")
    refused(run("check", "hw2_ch7.ipynb", "--assignment", "hw3"), "did you mean hw2?")
    refused(run("check", "hw2_ch7.ipynb", "--item", "corr2dd"), "did you mean corr2d?")


def test_a_python_file_and_an_empty_folder_are_refused_with_what_to_name(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text(CORR2D)
    (tmp_path / "empty").mkdir()
    refused(run("x.py"), "x.py: this is a Python file, not a notebook")
    refused(run("check", "empty"), "there is no notebook in it")


@pytest.mark.slow
def test_a_name_given_twice_counts_once_and_is_said(run_here: Run, tmp_path: Path) -> None:
    (tmp_path / "hw2.ipynb").write_bytes(notebook_bytes(CORR2D))
    ran = run_here("hw2.ipynb", "./hw2.ipynb", "--training", "none", "--json", "-")
    assert ran.returncode == 1
    assert ran.stderr == "note: hw2.ipynb was given 2 times; it counts once\n"
    assert len(json.loads(ran.stdout)["files"]) == 1

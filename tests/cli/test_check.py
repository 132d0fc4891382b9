"""`grader check` as a real process: exit codes and output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import jsonschema
import pytest

from grader.assignment import Assignment
from grader.collection import read_submission
from grader.grading.grade import grade
from grader.results.report import Report, load_report_schema
from grader.sandbox.host.sandbox import Zygote
from tests.support.command_line import GRADER, Run, refused
from tests.support.notebooks import CORR2D, CORR2D_POINTS, notebook_bytes
from tests.support.paths import SUBMISSIONS
from tests.support.processes import descendants, wait_until


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (notebook_bytes(CORR2D)[:400], "no valid JSON"),
        (b"print('hello')\n", "no valid JSON"),
        (b"[1, 2]", "its JSON is a list"),
        (b'{"cells": 3}', "its cells are a number"),
        (b"\x89PNG\r\n\x1a\n", "this is a picture"),
        (b'{"cells": [], "nbformat": 9}', "its notebook format is 9"),
        (b"[" * 100_000, "nested deeper"),
    ],
)
def test_a_file_that_is_not_a_notebook_is_named_with_the_reason(
    run: Run, tmp_path: Path, content: bytes, reason: str
) -> None:
    (tmp_path / "과제.ipynb").write_bytes(content)
    refused(run("check", "과제.ipynb", "--json", "report.json"), "과제.ipynb: ", reason)
    assert everything_in(tmp_path) == ["report.json", "과제.ipynb"]
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    jsonschema.validate(report, load_report_schema())
    assert {item["verdict"] for item in report["items"]} == {"pending"}
    assert (report["score"], report["pending_points"]) == (0, report["max_score"])
    assert reason in report["notices"][0]["text"]


def test_folders_pipes_and_devices_are_refused_without_waiting(run: Run, tmp_path: Path) -> None:
    (tmp_path / "folder.ipynb").mkdir()
    os.mkfifo(tmp_path / "pipe.ipynb")
    refused(run("check", "folder.ipynb"), "there is no notebook in it")
    refused(run("check", "pipe.ipynb"), "pipe.ipynb: ", "no regular file")
    refused(run("check", "missing.ipynb"), "missing.ipynb: there is no such file")
    refused(run("check", "/dev/zero"), "/dev/zero: ", "no regular file")


@pytest.mark.slow
def test_files_beside_a_good_notebook_come_along_or_are_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "good.ipynb").write_bytes(notebook_bytes("from my_layers import corr2d"))
    (tmp_path / "my_layers.py").write_text(CORR2D)
    (tmp_path / "bad.ipynb").write_bytes(b"{")
    alone = run("check", "good.ipynb", "bad.ipynb", "--training", "none", "--json", "-")
    whole = run("check", ".", "--training", "none", "--json", "-")
    assert alone.returncode == whole.returncode == 1
    alone_told, told = ([notice["subject"] for notice in json.loads(ran.stdout)["notices"]] for ran in (alone, whole))
    assert (alone_told[:2], told) == (["bad.ipynb", "my_layers.py"], ["bad.ipynb"])
    assert [file["name"] for file in json.loads(whole.stdout)["companions"]] == ["my_layers.py"]


def test_an_error_about_a_file_is_one_harmless_line_whatever_the_file_is_called(run: Run, tmp_path: Path) -> None:
    name = "two\nlines \x1b[31m\u202e.ipynb"
    (tmp_path / name).write_bytes(b"")
    ran = run("check", name)
    refused(ran, "the file is empty")
    assert not set("\x1b\u202e") & set(ran.stderr)


@pytest.mark.slow
def test_a_missing_or_broken_assignment_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "good.ipynb").write_bytes(notebook_bytes(CORR2D))
    for folder, content in {"cut": "title = ", "items": 'title = "t"\npoints = 3\n', "empty": ""}.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "rubric.toml").write_text(content)
        refused(run("check", "good.ipynb", "--assignment", folder), "rubric.toml")
    refused(run("check", "good.ipynb", "--assignment", "hw3"), "hw3", "hw2")
    (tmp_path / "hw4").mkdir()
    refused(run("check", "good.ipynb", "--assignment", "hw4"), "hw4", "does not exist")


@pytest.mark.slow
def test_an_unwritable_report_file_is_refused_before_the_work(run: Run, tmp_path: Path) -> None:
    (tmp_path / "good.ipynb").write_bytes(notebook_bytes(CORR2D))
    for target in ("no/such/folder.json", ".", "good.ipynb/report"):
        for option in ("--json", "--html"):
            refused(run("check", "good.ipynb", option, target), target)
    assert everything_in(tmp_path) == ["good.ipynb"]


def test_two_reports_in_one_file_are_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "good.ipynb").write_bytes(notebook_bytes(CORR2D))
    refused(run("check", "good.ipynb", "--json", "-", "--html", "-"))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("check",), "files"),
        (("check", "good.ipynb", "--colour"), "--colour"),
        (("check", "good.ipynb", "--training", "all"), "all"),
        (("check", "good.ipynb", "--json"), "--json"),
        (("grade", "good.ipynb"), "grade"),
    ],
)
def test_a_wrong_command_is_explained(run: Run, arguments: tuple[str, ...], named: str) -> None:
    ran = run(*arguments)
    assert ran.returncode == 2
    assert named in ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.stdout == ""


def test_without_arguments_the_commands_and_exit_codes_are_shown(run: Run) -> None:
    ran = run()
    assert ran.returncode == 2
    assert all(part in ran.stdout + ran.stderr for part in ("check", "doctor", "schema", "0 every automatic item"))
    assert run("--help").returncode == 0
    assert "--training" in run("check", "--help").stdout


def test_schema_prints_the_schema_of_reports(run: Run) -> None:
    ran = run("schema")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert json.loads(ran.stdout) == load_report_schema()


@pytest.mark.slow
def test_both_reports_are_written_and_the_third_is_printed_whatever_the_terminal_can_show(
    run: Run, tmp_path: Path
) -> None:
    name = "과제 2 (최종).ipynb"
    (notebook,) = (SUBMISSIONS / "right_the_whole_homework").glob("*.ipynb")
    (tmp_path / name).write_bytes(notebook.read_bytes())
    ran = run(
        *("check", name, "--json", "보고서.json", "--html", "report.html", "--training", "none"),
        LANG="C",
        LC_ALL="C",
        PYTHONIOENCODING="ascii",
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    assert "76 / 100" in ran.stdout
    assert "24 pending" in ran.stdout
    report = Report.from_json((tmp_path / "보고서.json").read_text(encoding="utf-8"))
    assert report.passed
    assert [file.name for file in report.files] == [name]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert name in page
    assert everything_in(tmp_path) == sorted([name, "report.html", "보고서.json"])


@pytest.mark.slow
def test_json_on_standard_output_is_pure_and_the_same_as_from_python(
    run: Run, tmp_path: Path, zygote: Zygote, hw2: Assignment
) -> None:
    (tmp_path / "과제 1.ipynb").write_bytes(notebook_bytes(CORR2D, "print('printed')", "raise ValueError(object())"))
    (tmp_path / "과제 2.ipynb").write_bytes(notebook_bytes("!pip install d2l", "def pool2d(X, pool_size): return X"))
    paths = ["과제 1.ipynb", "과제 2.ipynb"]
    ran = run("check", *paths, "--json", "-", "--training", "none", PYTHONIOENCODING="ascii")
    assert ran.returncode == 1
    assert ran.stderr == ""
    values = json.loads(ran.stdout)
    jsonschema.validate(values, load_report_schema())
    assert values["score"] == CORR2D_POINTS
    in_python = grade(read_submission(tmp_path / path for path in paths), hw2, zygote)
    assert Report.from_json(ran.stdout).canonical() == in_python.canonical()


def hear_interrupts() -> None:
    """Accept SIGINT, which background jobs of a shell ignore, as do their children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
def test_ctrl_c_ends_the_grader_and_everything_it_started(tmp_path: Path) -> None:
    (tmp_path / "endless.ipynb").write_bytes(notebook_bytes("while True: pass"))
    command = [str(GRADER), "check", "endless.ipynb", "--json", "report.json"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_interrupts,
    ) as process:
        # The warm process, the sandbox's first one, the runner and the kernel.
        assert wait_until(lambda: len(descendants(process.pid)) >= 4)
        time.sleep(0.5)
        started = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)
    assert process.returncode not in (0, 1, 2)
    assert "Traceback" not in errors
    assert output == ""
    assert wait_until(lambda: not any(Path(f"/proc/{each}").exists() for each in started), seconds=10)
    assert everything_in(tmp_path) == ["endless.ipynb"]

"""The installed `grader` as a process of its own, and in this process where starting one is not the point."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from typer.testing import CliRunner

from grader.assignment import Assignment
from grader.cli import app
from grader.sandbox.host import warm_processes
from grader.sandbox.host.sandbox import Zygote
from tests.support.command_line import GRADER, SECONDS, Ran, Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the grader in an empty folder and without a terminal."""

    def call(*arguments: str | Path, **variables: str) -> Ran:
        return subprocess.run(
            [GRADER, *arguments],
            cwd=tmp_path,
            env={**os.environ, "COLUMNS": "200", **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=SECONDS,
        )

    return call


@pytest.fixture
def run_here(tmp_path: Path, zygote: Zygote, hw2: Assignment, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the grader as `run` does, but in this process and with the warm process of all tests.

    That saves the seconds in which two processes import the course's packages.
    """

    def lend(packages: Sequence[str], library_folders: Sequence[Path] = ()) -> AbstractContextManager[Zygote]:
        assert (packages, list(library_folders)) == (hw2.packages, [])
        return nullcontext(zygote)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(warm_processes, "Zygote", lend)

    def call(*arguments: str | Path, **variables: str) -> Ran:
        words = [str(argument) for argument in arguments]
        result = CliRunner().invoke(app, words, env={"COLUMNS": "200", **variables}, catch_exceptions=False)
        return Ran(words, result.exit_code, result.stdout, result.stderr)

    return call

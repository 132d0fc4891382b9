"""Processes of the installed `grader`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.command_line import GRADER, SECONDS, Ran, Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the grader in an empty folder of its own, with nobody at the keyboard."""

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

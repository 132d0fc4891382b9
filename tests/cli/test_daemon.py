"""Tests of grader/cli/daemon.py."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.notebooks import CORR2D, notebook_bytes
from tests.support.processes import runs, wait_until
from tests.support.resident import open_resident_commands


@pytest.mark.slow
def test_status_and_stop_say_what_there_is(tmp_path: Path) -> None:
    with open_resident_commands(tmp_path) as commands:
        none = commands.run("daemon", "status")
        assert none.returncode == 1
        assert none.stdout.startswith("no resident grader runs")
        assert json.loads(commands.run("daemon", "status", "--json").stdout) == []
        assert commands.run("daemon", "stop").stdout == "no resident grader runs\n"

        (commands.folder / "hw2.ipynb").write_bytes(notebook_bytes(CORR2D))
        commands.run("check", "hw2.ipynb", "--training", "none")
        shown = commands.run("daemon", "status")
        assert shown.returncode == 0
        assert re.fullmatch(
            r"process \d+: started 0 min ago, 1 command, ends in 10 min if nothing uses it; \d+ MiB; hw2 loaded\n",
            shown.stdout,
        )
        (found,) = commands.status()
        assert found["memory_bytes"] > 2**27

        stopped = commands.run("daemon", "stop")
        assert stopped.stdout == f"stopped process {found['pid']}\n"
        assert wait_until(lambda: not runs(found["pid"]))
        assert commands.status() == []

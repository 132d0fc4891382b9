"""`grader --version` names what a report about a problem needs."""

from __future__ import annotations

import platform
from importlib import metadata

from tests.support.command_line import Run


def test_the_version_names_the_grader_python_and_torch(run: Run) -> None:
    expected = f"grader {metadata.version('notebook-grader')} (Python {platform.python_version()}, torch "
    for option in ("--version", "-V"):
        ran = run(option)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert ran.stdout == f"{expected}{metadata.version('torch')})\n"

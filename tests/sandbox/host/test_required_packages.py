"""Grading refuses an environment without its packages, in words, and before it starts anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from grader.sandbox.host.required_packages import require_grading_packages
from tests.support.paths import ROOT


def test_this_environment_has_what_grading_needs() -> None:
    require_grading_packages.__wrapped__()


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("torch==2.0.0; extra == 'grading'", "torch==2.0.0, and 2."),
        ("no-such-package>=1; extra == 'grading'", "no-such-package>=1, which is not installed"),
    ],
)
def test_a_missing_package_is_named_and_nothing_is_graded(tmp_path: Path, line: str, fault: str) -> None:
    metadata = tmp_path / "notebook_grader-0.1.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: notebook-grader\nVersion: 0.1.0\nRequires-Dist: {line}\n")
    run = "import sys; from grader.cli.entry import main; sys.exit(main())"
    command = [sys.executable, "-c", run, "check", str(ROOT / "examples" / "hw2.ipynb"), "--training", "none"]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}", "COLUMNS": "300"}
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 2, ran.stdout
    assert f"grading needs {fault}" in ran.stderr
    assert "pip install 'notebook-grader[grading]'" in ran.stderr
    assert "Traceback" not in ran.stderr

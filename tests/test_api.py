"""The Python API is what docs/api.md shows: its code is run, with a real sandbox."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import grader
from grader.assignment import find_assignment
from grader.collection import read_submission
from grader.grading.single import grade
from tests.support.notebooks import notebook_bytes
from tests.support.paths import ASSIGNMENTS, ROOT

PAGE = (ROOT / "docs" / "api.md").read_text("utf-8")


def run(code: str) -> str:
    """Run code in a fresh interpreter, as a user of the library does, and return what it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "GRADER_ASSIGNMENT_PATH"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_page_prints_what_it_shows() -> None:
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
    shown = "".join(re.findall(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
    assert run(code) == shown


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, grader; assert dir(grader)\n"
        "heavy = {'torch', 'numpy', 'IPython', 'pytest', 'hypothesis'}\n"
        "print(heavy & sys.modules.keys())\n"
        "from grader import GradingSession, Report, Verdict, find_assignment, read_submission\n"
        "print(heavy & sys.modules.keys())"
    )
    assert run(code) == "set()\nset()\n"


def test_every_public_name_can_be_imported_and_is_described() -> None:
    for name in grader.__all__:
        assert getattr(grader, name).__name__ == name
        assert name in dir(grader)
        assert re.search(rf"\b{name}\b", PAGE) or name == "load_ipython_extension", name
    assert not hasattr(grader, "grade_everything")


@pytest.mark.slow
def test_a_submission_is_named_by_path_by_paths_or_read_before(tmp_path: Path) -> None:
    path = tmp_path / "work.ipynb"
    path.write_bytes(notebook_bytes("def double(X): return X + X"))
    folder = ASSIGNMENTS / "doubled"
    steps: list[str] = []
    reports = [
        grade(path, folder, progress=steps.append),
        grade([str(path)], str(folder), mode="none"),
        grade(read_submission([path]), find_assignment(folder)),
    ]
    assert len({report.canonical() for report in reports}) == 1
    assert reports[0].score > 0
    assert steps[0] == "starting the sandbox"
    assert [item.id for item in grade(path, folder, only={"halve"}).items] == ["halve"]

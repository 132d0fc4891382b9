"""`grader check --executed` writes the executed notebooks, and nothing anywhere else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from grader.cli.executed_notebooks import write_executed
from grader.submission.executed_notebook import ExecutedNotebook
from tests.support.notebooks import notebook_bytes

GRADER = Path(sys.executable).with_name("grader")


def check(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(GRADER), "check", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", timeout=120, check=False)


@pytest.mark.slow
def test_an_executed_notebook_is_a_valid_notebook(tmp_path: Path) -> None:
    (tmp_path / "hw2.ipynb").write_bytes(notebook_bytes("print('shown')", "1 / 0"))
    answer = check(tmp_path, "hw2.ipynb", "--executed", "made/executed")
    assert answer.returncode == 1, answer.stderr
    document = json.loads((tmp_path / "made" / "executed" / "hw2.ipynb").read_text(encoding="utf-8"))
    nbformat.validate(document)
    first, second = (cell["outputs"] for cell in document["cells"])
    assert first == [{"output_type": "stream", "name": "stdout", "text": "shown\n"}]
    assert second[0]["ename"] == "ZeroDivisionError"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hw2.ipynb", "made"]


def test_submitted_notebooks_are_not_overwritten(tmp_path: Path) -> None:
    data = notebook_bytes("x = 1")
    (tmp_path / "hw2.ipynb").write_bytes(data)
    answer = check(tmp_path, "hw2.ipynb", "--executed", ".")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "give another folder" in answer.stderr
    answer = check(tmp_path, "hw2.ipynb", "--executed", "hw2.ipynb")
    assert "give a folder" in answer.stderr
    assert (tmp_path / "hw2.ipynb").read_bytes() == data


def test_notebooks_with_equal_names_stay_apart_and_inside_the_folder(tmp_path: Path) -> None:
    made = [ExecutedNotebook(name, ()) for name in ("a/hw2.ipynb", "../../hw2.ipynb")]
    write_executed(tmp_path / "made", made)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.ipynb")) == [
        "made/1-hw2.ipynb", "made/2-hw2.ipynb"
    ]  # fmt: skip

"""`%grader` judges with the bundle that a course hands out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from grader.assignment import load_assignment
from grader.authoring.bundling import bundle, write_bundle
from grader.authoring.new import new_assignment
from grader.self_check.magic import SelfCheck, register

SOFTMAX = "import torch\ndef softmax(X):\n    return X.exp() / X.exp().sum(dim=1, keepdim=True)"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("assignments")
    new_assignment("first", folder)
    write_bundle(bundle(load_assignment(folder / "first")), folder / "check.zip")
    return folder / "check.zip"


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    made = InteractiveShell()
    register(made)
    yield made
    made.history_manager.end_session()


def check(shell: InteractiveShell, line: str) -> SelfCheck | None:
    result = shell.run_line_magic("grader", line)
    assert result is None or isinstance(result, SelfCheck)
    return result


def test_the_definitions_of_the_notebook_are_judged(shell: InteractiveShell, path: Path) -> None:
    shell.run_cell(SOFTMAX)
    found = check(shell, f"--assignment {path}")
    assert found
    assert [(result.id, result.verdict) for result in found.results] == [("softmax.values", "passed")]
    shell.run_cell(SOFTMAX.replace("dim=1, keepdim=True", ""))
    found = check(shell, f"softmax --assignment {path} --hint 3")
    assert found
    assert "wrong    softmax.values: in 5 of 6 cases" in repr(found)
    assert "X, shape" in repr(found)
    assert "a self-check; the grade comes from the course" in found._repr_html_()


def test_what_it_cannot_judge_is_said(
    shell: InteractiveShell, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(line: str) -> str:
        assert check(shell, line) is None
        return capsys.readouterr().out

    assert "check.zip does not check forward; it checks softmax.values, accuracy" in refuse(
        f"forward --assignment {path}"
    )
    assert "nothing to judge is defined yet: define one of softmax" in refuse(f"softmax --assignment {path}")
    (tmp_path / "other.zip").write_bytes(b"no zip")
    assert "is not a bundle of `grader assignment bundle`" in refuse(f"--assignment {tmp_path / 'other.zip'}")

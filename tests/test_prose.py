"""Spelling, and words that our prose does without: scripts/prose-words.txt lists them with what to write instead."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.paths import ROOT

# What people read, and the sources for their docstrings, comments and messages; `make prose` checks the same.
CHECKED = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs", "grader", "rubrics", "reference")


def check(*paths: str | Path) -> list[str]:
    """Return a line for each word that is misspelt or on our list: `path:line: word ==> what to write`."""
    command = [str(Path(sys.executable).parent / "codespell"), *map(str, paths)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 65), done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("path", CHECKED)
def test_prose_is_spelt_well_and_plain(path: str) -> None:
    assert (ROOT / path).exists()
    found = check(path)
    assert not found, "\n".join(found)


def test_every_word_of_the_list_is_found(tmp_path: Path) -> None:
    """A phrase is found only if the pattern in pyproject.toml takes it as one word."""
    lines = (ROOT / "scripts" / "prose-words.txt").read_text("utf-8").splitlines()
    words = [line.partition("->")[0] for line in lines]
    (tmp_path / "page.md").write_text("".join(f"Here {word} stands.\n" for word in words), "utf-8")
    found = [line.split(": ")[1].partition(" ==> ")[0] for line in check(tmp_path / "page.md")]
    assert found == words
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert "regex" in pyproject["tool"]["codespell"]


def test_make_checks_the_same_files() -> None:
    assert f"codespell {' '.join(CHECKED)}\n" in (ROOT / "Makefile").read_text("utf-8")

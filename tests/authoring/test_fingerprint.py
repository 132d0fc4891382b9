"""`grader assignment fingerprint`: a book's Markdown and notebooks become one file of hashes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from grader.authoring.fingerprint import fingerprint
from grader.errors import InputError
from grader.submission.written.fingerprints import load_fingerprints
from grader.submission.written.own_words import find_own_words
from tests.support.command_line import GRADER, refused
from tests.support.foreign_assignments import code, notebook, text, written

CODE = "```{.python .input}\nferry = None  # slower than any bridge\n```\n"
PAGE = f"# Bridges\n\nA bridge carries a road over a river.\n\n{CODE}"


@pytest.fixture
def book(tmp_path: Path) -> Path:
    written(tmp_path / "book" / "chapter" / "bridges.md", PAGE)
    written(
        tmp_path / "book" / "tunnels.ipynb", notebook(text("A tunnel carries a road below a river."), code("x = 1"))
    )
    written(tmp_path / "book" / "picture.svg", "<svg/>")
    return tmp_path / "book"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(GRADER), "assignment", "fingerprint", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_folders_are_read_with_their_subfolders(book: Path, tmp_path: Path) -> None:
    ran = run(book, "--out", tmp_path / "out.fingerprints")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith(f"wrote {tmp_path / 'out.fingerprints'}\n")
    assert "fingerprints of 2 files" in ran.stdout
    made = load_fingerprints(tmp_path / "out.fingerprints")
    assert find_own_words(f"{PAGE.split('```')[0]}\nA tunnel carries a road below a river.", made).text == ""
    assert find_own_words("ferry = None  # slower than any bridge", made).text != ""


def test_files_are_read_as_well(book: Path, tmp_path: Path) -> None:
    made = fingerprint([book / "chapter" / "bridges.md", book / "tunnels.ipynb"], tmp_path / "a")
    assert (made.files, made.bytes) == (2, (tmp_path / "a").stat().st_size)
    assert fingerprint([book], tmp_path / "b").fingerprints == made.fingerprints


def test_sources_without_text_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(run(tmp_path / "empty", "--out", tmp_path / "out"), "there is no text in these: give the book's Markdown")
    assert not (tmp_path / "out").exists()


def test_files_that_cannot_be_used_are_named(book: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere is no folder and no \.md or \.ipynb file"):
        fingerprint([tmp_path / "nowhere"], tmp_path / "out")
    written(book / "cut.ipynb", "{")
    with pytest.raises(InputError, match=r"cut\.ipynb cannot be read .*: leave it out"):
        fingerprint([book], tmp_path / "out")
    (book / "cut.ipynb").unlink()
    with pytest.raises(InputError, match="give another file with --out"):
        fingerprint([book], tmp_path / "missing" / "out")

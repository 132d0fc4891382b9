"""What lies in the working folder, and why some of what was handed in does not."""

from __future__ import annotations

import dataclasses
import json

import pytest

from grader.results.notice import NoticeKind
from grader.sandbox.host.handed_in import choose_files
from grader.sandbox.protocol.limits import Limits
from grader.submission.submission import CompanionFile
from tests.support.notebooks import submission

LIMITS = Limits(written_bytes=2_000_000)
NOTEBOOK = submission("!pip install torch\nx = 1").notebooks[0]


def test_a_notebook_alone_needs_no_file() -> None:
    assert choose_files([NOTEBOOK], [], LIMITS) == ({}, [])


def test_notebooks_lie_beside_each_other_without_their_install_commands() -> None:
    other = dataclasses.replace(NOTEBOOK, name="part 2/other.ipynb")
    chosen, notices = choose_files([NOTEBOOK, other], [], LIMITS)
    assert (set(chosen), notices) == ({NOTEBOOK.name, other.name}, [])
    assert "\n!pip" not in json.loads(chosen[other.name])["cells"][0]["source"]


@pytest.mark.parametrize(
    ("files", "left_out", "reason"),
    [
        ({"../x.py": b""}, "../x.py", "its name is no path inside the folder"),
        ({"x.csv": bytes(999_000), "y.csv": bytes(9_000)}, "y.csv", "all files together are too large"),
        ({"a": b"", "a/b": b""}, "a/b", "one of its folders has the name of another file"),
    ],
)
def test_a_file_that_is_left_out_is_named(files: dict[str, bytes], left_out: str, reason: str) -> None:
    chosen, notices = choose_files([NOTEBOOK], [CompanionFile(*file) for file in files.items()], LIMITS)
    assert set(chosen) == {NOTEBOOK.name, *files} - {left_out}
    assert [(notice.kind, notice.subject) for notice in notices] == [(NoticeKind.SKIPPED_FILE, left_out)]
    assert reason in notices[0].text


def test_a_file_with_a_notebook_s_name_is_the_notebook() -> None:
    chosen, notices = choose_files([NOTEBOOK], [CompanionFile(NOTEBOOK.name, b"x")], LIMITS)
    assert chosen[NOTEBOOK.name] != b"x" and notices == []  # noqa: PT018

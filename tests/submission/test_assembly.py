"""Files become a submission: notebooks by what they contain, the others beside them within bounds."""

from __future__ import annotations

import pytest

from grader.results.notice import Notice, NoticeKind
from grader.submission.assembly import CompanionBounds, assemble_submission
from tests.support.notebooks import notebook_bytes

GOOD = ("good.ipynb", notebook_bytes("x = 1"))


def told(*files: tuple[str, bytes]) -> list[str]:
    return [str(notice) for notice in assemble_submission(files).notices]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty; download it again, or save it again in Jupyter"),
        (GOOD[1][:-20], "no valid JSON (the file is cut off)"),
        (b"\n<!DOCTYPE html><html><form><input type='password'>", "this is a web page that asks to sign in; sign in"),
        (b"<html><body class='jp-Notebook'>", "this is a web page made from a notebook; hand in the notebook itself"),
        (b"<HTML><p>404", "this is a web page, not a notebook"),
        (b"%PDF-1.7", "this is a PDF, not a notebook; hand in the notebook itself, hw2.ipynb"),
        (b"PK\x03\x04....[Content_Types].xml", "this is an Office document, not a notebook"),
        (b"PK\x03\x04", "this is a zip archive, not a notebook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "this is a Word or Hangul document"),
        (b"\x89PNG\r\n", "this is a picture"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "this is a pointer of Git LFS"),
        (b'{\n<<<<<<< HEAD\n "a": 1\n=======\n "a": 2\n>>>>>>> b\n}', "it has Git's conflict markers (line 2)"),
        (b"\xff\xfeh\x00", "no valid JSON"),
        (b"import torch", "no valid JSON"),
    ],
)
def test_a_file_that_is_no_notebook_is_named_with_what_to_do(data: bytes, reason: str) -> None:
    submission = assemble_submission([("hw2.ipynb", data), GOOD])
    assert [notebook.name for notebook in submission.notebooks] == ["good.ipynb"]
    (notice,) = submission.notices
    assert (notice.kind, notice.subject, notice.file) == (NoticeKind.UNREADABLE_FILE, "hw2.ipynb", "hw2.ipynb")
    assert str(notice).startswith(f"hw2.ipynb: {reason}")
    assert assemble_submission([("hw2.ipynb", data)]).notices == submission.notices


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_notebook_is_read_in_every_encoding(encoding: str) -> None:
    text = GOOD[1].decode()
    assert len(assemble_submission([("hw2.ipynb", text.encode(encoding))]).notebooks) == 1


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("hw2.py", "a Python file"),
        ("hw2.ipynb - Colab.pdf", "a PDF"),
        ("hw2.html", "a web page"),
        ("hw2.docx", "a Word document"),
        ("hw2.hwp", "a Hangul document"),
        ("hw2.jpg", "a picture"),
    ],
)
def test_a_submission_without_a_notebook_says_what_to_hand_in(name: str, kind: str) -> None:
    assert told((name, b"")) == [f"{name}: this is {kind}, not a notebook; hand in the notebook itself, hw2.ipynb"]
    assert told((name, b""), GOOD) == []


def test_a_submission_of_nothing_says_so() -> None:
    nothing = "there is no notebook in it; hand in the .ipynb file that Jupyter or Colab saves"
    assert told() == told(("x.csv", b"1"), ("link", b"2")) == [nothing]


def test_notices_of_the_collection_stay() -> None:
    notice = Notice("it was not opened", NoticeKind.SKIPPED_FILE, "x.7z", "x.7z")
    assert assemble_submission([GOOD], [notice]).notices == (notice,)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("../x", "its path leads out of the submission's folder"),
        ("/etc/x", "its path leads out of the submission's folder"),
        ("a//x", "its path leads out of the submission's folder"),
        ("a\nb", "its name has a control character"),
        ("a\0b", "its name has a control character"),
        ("a\udc80b", "its name has a control character"),
        ("x" * 256, "its path is too long"),
        ("가" * 86, "its path is too long"),
        ("/".join("a" * 21), "its path is too long"),
        ("/".join(["a" * 250] * 5), "its path is too long"),
        ("data", "another file or folder has the same name"),
        ("data/x.csv/y", "another file or folder has the same name"),
    ],
)
def test_a_path_that_no_folder_can_hold_is_left_out(path: str, reason: str) -> None:
    submission = assemble_submission([("data/x.csv", b"1"), (path, b"2"), GOOD])
    assert [file.path for file in submission.files] == ["data/x.csv"]
    (notice,) = submission.notices
    assert notice.text.startswith(reason)
    assert not set("\n\0\udc80") & set(str(notice))


def test_what_is_past_the_bounds_is_left_out_and_named() -> None:
    files = [(f"{number}.csv", b"12345") for number in range(9)]
    submission = assemble_submission([GOOD, *files], companion_bounds=CompanionBounds(files=2, bytes=1000))
    assert [file.path for file in submission.files] == ["0.csv", "1.csv"]
    assert [notice.subject for notice in submission.notices] == ["2.csv", "3.csv", "4.csv", "5.csv", "6.csv", ""]
    assert len(assemble_submission([GOOD, *files], companion_bounds=CompanionBounds(files=9, bytes=14)).files) == 2

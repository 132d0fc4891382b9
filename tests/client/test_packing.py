"""Packing: files unchanged, a folder as a zip, and the same key for the same files."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from grader.client.packing import compute_content_key, open_file, pack
from grader.errors import InputError


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A folder for the zip."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def write(path: Path, content: str = "{}") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def test_a_zip_and_notebooks_are_sent_as_they_are(tmp_path: Path, scratch: Path) -> None:
    archive, one, two = (write(tmp_path / name) for name in ("class.ZIP", "one.ipynb", "과제.ipynb"))
    assert pack([archive], scratch) == [("class.ZIP", archive)]
    assert pack([one, two], scratch) == [("one.ipynb", one), ("과제.ipynb", two)]
    assert list(scratch.iterdir()) == []


def test_a_folder_is_sent_as_a_zip_of_its_notebooks(tmp_path: Path, scratch: Path) -> None:
    folder = tmp_path / "class"
    for name in ("kim/hw2.ipynb", "lee/deep/hw2.IPYNB", "park/later.zip", "kim/data.bin", "choi/notes.txt"):
        write(folder / name)
    write(folder / "hw2-yu" / ".git" / "config")
    write(folder / "hw2-yu" / ".git" / "old.ipynb")
    write(tmp_path / "secret.ipynb", "not submitted")
    (folder / "kim" / "link.ipynb").symlink_to(tmp_path / "secret.ipynb")
    os.mkfifo(folder / "kim" / "pipe.ipynb")
    ((name, path),) = pack([folder], scratch)
    assert name == "class.zip"
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
    assert [each for each in names if not each.endswith("/")] == [
        "kim/hw2.ipynb",
        "lee/deep/hw2.IPYNB",
        "park/later.zip",
    ]
    # Students without a notebook are included, and a clone can be recognised.
    assert {"choi/", "hw2-yu/.git/"} <= set(names)


def test_the_same_folder_gives_the_same_bytes(tmp_path: Path) -> None:
    zips = []
    for number in range(2):
        copy = tmp_path / str(number) / "class"
        for name in ("b/two.ipynb", "a/one.ipynb") if number else ("a/one.ipynb", "b/two.ipynb"):
            os.utime(write(copy / name, name), (1e9, 1e9 + 100 * number))
        scratch = tmp_path / f"scratch-{number}"
        scratch.mkdir()
        zips.append(pack([copy], scratch))
    assert compute_content_key(zips[0], {}) == compute_content_key(zips[1], {})


def test_another_file_name_content_or_field_gives_another_key(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one.ipynb", "1"), write(tmp_path / "two.ipynb", "2")
    fields = {"assignment": "hw2", "title": "Homework"}
    keys = {
        compute_content_key([("a", one)], fields),
        compute_content_key([("b", one)], fields),
        compute_content_key([("a", two)], fields),
        compute_content_key([("a", one), ("a", two)], fields),
        compute_content_key([("a", one)], {**fields, "title": "again"}),
    }
    assert len(keys) == 5
    assert compute_content_key([("a", one)], dict(reversed(fields.items()))) in keys


def test_files_that_cannot_be_sent_are_refused(tmp_path: Path, scratch: Path) -> None:
    notebook, other, same = (write(tmp_path / name) for name in ("hw2.ipynb", "hw2.py", "b/hw2.ipynb"))
    empty = tmp_path / "empty"
    empty.mkdir()
    cases = [
        ([tmp_path / "gone"], "no such file"),
        ([other], "not a notebook; give one folder, one zip, or notebooks"),
        ([notebook, tmp_path], "not a notebook"),
        ([notebook, same], "2 notebooks are called hw2.ipynb; give their folder"),
        ([empty], "no notebook in this folder"),
    ]
    for paths, sentence in cases:
        with pytest.raises(InputError, match=sentence):
            pack(paths, scratch)


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read \(No such file"), open_file(tmp_path / "gone"):
        pass

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


def test_a_folder_is_sent_as_a_zip_of_what_is_in_it(tmp_path: Path, scratch: Path) -> None:
    folder = tmp_path / "class"
    sent = ("choi/notes.txt", "kim/data.bin", "kim/hw2.ipynb", "lee/deep/hw2.IPYNB", "park/later.zip")
    for name in (*sent, "kim/__pycache__/x.pyc", "kim/.DS_Store", "lee/.venv/x.py", "__MACOSX/hw2.ipynb"):
        write(folder / name)
    write(folder / "hw2-yu" / ".git" / "config")
    write(folder / "hw2-yu" / ".git" / "old.ipynb")
    (folder / "empty").mkdir()
    write(tmp_path / "secret.ipynb", "not submitted")
    (folder / "kim" / "link.ipynb").symlink_to(tmp_path / "secret.ipynb")
    os.mkfifo(folder / "kim" / "pipe.ipynb")
    with open(folder / "kim" / "weights.pt", "wb") as file:
        file.truncate(50 * 2**20 + 1)
    notes: list[str] = []
    ((name, path),) = pack([folder], scratch, notes.append)
    assert name == "class.zip"
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
    assert tuple(each for each in names if not each.endswith("/")) == sent
    # Students without a notebook are included, and a clone can be recognised.
    assert {"choi/", "empty/", "hw2-yu/.git/"} <= set(names)
    assert notes == ["kim/weights.pt: it was not sent, because it has more than 50 MB"]


def test_files_and_folders_are_sent_with_their_paths(tmp_path: Path, scratch: Path) -> None:
    paths = [write(tmp_path / "a" / "hw2.ipynb"), write(tmp_path / "a" / "my.py"), tmp_path / "a" / "data"]
    write(tmp_path / "a" / "data" / "x.csv")
    assert pack(paths[:2], scratch) == [("hw2.ipynb", paths[0]), ("my.py", paths[1])]
    ((name, path),) = pack(paths, scratch)
    with zipfile.ZipFile(path) as archive:
        assert (name, archive.namelist()) == ("a.zip", ["data/", "data/x.csv", "hw2.ipynb", "my.py"])
    other = write(tmp_path / "b" / "hw2.ipynb")
    ((_, path),) = pack([paths[0], other], scratch)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["a/hw2.ipynb", "b/hw2.ipynb"]


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
    empty = tmp_path / "empty"
    empty.mkdir()
    cases = [([tmp_path / "gone"], "no such file"), ([empty], "no file in this folder")]
    for paths, sentence in cases:
        with pytest.raises(InputError, match=sentence):
            pack(paths, scratch)


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read \(No such file"), open_file(tmp_path / "gone"):
        pass

"""One submission is read from files, folders and zip files; what cannot be read is named and costs only itself."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from grader.collection import collect_submission, read_submission
from grader.collection.reading import find_notebooks
from grader.errors import SubmissionError
from grader.results.notice import NoticeKind
from tests.support.notebooks import notebook_bytes
from tests.support.zip_files import NOTEBOOK, zipped

NUMBERS = iter(range(1_000))


def write(path: Path, content: bytes | str | None = None) -> Path:
    """Write a file; by default a notebook that no other one equals."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = notebook_bytes(f"x = {next(NUMBERS)}") if content is None else content
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def told(*paths: Path) -> list[str]:
    return [str(notice) for notice in read_submission(paths).notices]


# Files that are named one by one


def test_a_submission_is_its_notebooks_in_the_order_given(tmp_path: Path) -> None:
    paths = [write(tmp_path / "b.ipynb"), write(tmp_path / "a22_과제 2 (최종)_final [1].ipynb")]
    notebooks = read_submission(paths).notebooks
    assert [notebook.name for notebook in notebooks] == ["b.ipynb", "a22_과제 2 (최종)_final [1].ipynb"]
    assert notebooks[0].sha256 == hashlib.sha256(paths[0].read_bytes()).hexdigest()


def test_notebooks_are_called_by_their_paths_below_the_folder_that_they_share(tmp_path: Path) -> None:
    paths = [write(tmp_path / part) for part in ("x/1/hw2.ipynb", "y/1/hw2.ipynb", "y/other.ipynb")]
    submission = read_submission(paths)
    assert [notebook.name for notebook in submission.notebooks] == ["x/1/hw2.ipynb", "y/1/hw2.ipynb", "y/other.ipynb"]
    assert find_notebooks(submission, paths) == {
        notebook.name: tmp_path / notebook.name for notebook in submission.notebooks
    }


def test_a_notebook_that_is_there_twice_is_run_once(tmp_path: Path) -> None:
    paths = [write(tmp_path / name, NOTEBOOK) for name in ("hw2.ipynb", "hw2 (1).ipynb")]
    assert [notebook.name for notebook in read_submission(paths).notebooks] == ["hw2.ipynb"]
    assert told(*paths) == ["hw2 (1).ipynb: it is the same as hw2.ipynb, and was not run again"]


def test_a_name_decomposed_by_macos_is_composed(tmp_path: Path) -> None:
    path = write(tmp_path / "\u1100\u116a\u110c\u1166.ipynb")
    assert read_submission([path]).notebooks[0].name == "과제.ipynb"


def test_the_same_file_given_twice_is_one_notebook(tmp_path: Path) -> None:
    path = write(tmp_path / "hw2.ipynb")
    assert len(read_submission([path, str(path), tmp_path / "." / "hw2.ipynb"]).notebooks) == 1


def test_a_link_to_a_notebook_is_read(tmp_path: Path) -> None:
    link = tmp_path / "link.ipynb"
    link.symlink_to(write(tmp_path / "hw2.ipynb"))
    assert read_submission([link]).notebooks[0].name == "link.ipynb"


def test_the_identity_depends_on_all_that_the_code_can_see_of_its_submission(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a.ipynb"), write(tmp_path / "b.ipynb")
    renamed, data = write(tmp_path / "c.ipynb", a.read_bytes()), write(tmp_path / "x.csv", "1")
    submissions = ([a, b], [b, a], [b, renamed], [a], [a, b, data])
    identities = [read_submission(paths).identity for paths in submissions]
    assert len(set(identities)) == len(submissions)
    assert [read_submission(paths).identity for paths in submissions] == identities
    assert len(identities[0]) == 64


def test_files_beside_the_notebook_come_along_if_they_are_named(tmp_path: Path) -> None:
    paths = [
        write(tmp_path / "hw2.ipynb"),
        write(tmp_path / "my_layers.py", "x = 1"),
        write(tmp_path / "data/x.csv", "1"),
    ]
    write(tmp_path / "data/y.csv", "2")
    submission = read_submission(paths)
    assert [(file.path, file.data) for file in submission.files] == [("data/x.csv", b"1"), ("my_layers.py", b"x = 1")]
    assert [file.path for file in read_submission([paths[0], tmp_path / "data"]).files] == ["data/x.csv", "data/y.csv"]


def test_a_module_that_is_used_and_was_not_named_is_told(tmp_path: Path) -> None:
    notebook = write(
        tmp_path / "hw2.ipynb",
        notebook_bytes("import torch, math\nfrom my_layers import *", "%run setup.py\nimport other"),
    )
    for name in ("my_layers.py", "setup.py", "unused.py"):
        write(tmp_path / name, "")
    sentence = "lies beside hw2.ipynb, which uses it; name it too, or give the folder"
    assert told(notebook) == [f"my_layers.py {sentence}", f"setup.py {sentence}"]
    assert {notice.kind for notice in read_submission([notebook]).notices} == {NoticeKind.SKIPPED_FILE}
    assert told(notebook, tmp_path / "my_layers.py", tmp_path / "setup.py") == told(tmp_path) == []


# Folders and archives


def test_a_folder_is_read_with_everything_in_it_but_debris(tmp_path: Path) -> None:
    for name in ("w/part1/hw2.ipynb", "w/part2/hw2.ipynb", "w/__MACOSX/hw2.ipynb", "w/.old/hw2.ipynb"):
        write(tmp_path / name)
    for name in ("w/part1/my_layers.py", "w/data/x.csv", "w/.git/config", "w/__pycache__/x.pyc", ".DS_Store"):
        write(tmp_path / name, "")
    submission = read_submission([tmp_path])
    assert [notebook.name for notebook in submission.notebooks] == ["part1/hw2.ipynb", "part2/hw2.ipynb"]
    assert [file.path for file in submission.files] == ["data/x.csv", "part1/my_layers.py"]
    assert submission.notices == ()
    assert find_notebooks(submission, [tmp_path])["part2/hw2.ipynb"] == tmp_path / "w/part2/hw2.ipynb"


def test_a_zip_gives_the_same_submission_as_its_folder(tmp_path: Path) -> None:
    names = ("hw2/hw2.ipynb", "hw2/my_layers.py", "hw2/data/x.csv")
    contents = {name: write(tmp_path / "folder" / name).read_bytes() for name in names}
    packed = write(tmp_path / "hw2.zip", zipped(contents))
    whole = read_submission([tmp_path / "folder"])
    assert read_submission([packed]) == whole == collect_submission([("any.zip", packed.read_bytes())]).read()
    assert collect_submission(contents.items()).read().identity == whole.identity


def test_an_archive_gives_way_to_loose_files(tmp_path: Path) -> None:
    write(tmp_path / "hw2.ipynb")
    write(tmp_path / "x.csv", "1")
    write(tmp_path / "old.zip", zipped({"x.csv": b"2", "y.csv": b"3"}))
    files = {file.path: file.data for file in read_submission([tmp_path]).files if file.path.endswith("csv")}
    assert files == {"x.csv": b"1", "old/x.csv": b"2", "old/y.csv": b"3"}


def test_no_link_in_a_folder_is_followed(tmp_path: Path) -> None:
    secret = write(tmp_path / "secret.txt", "secret")
    write(tmp_path / "work" / "hw2.ipynb")
    (tmp_path / "work" / "x.txt").symlink_to(secret)
    assert read_submission([tmp_path / "work"]).files == ()
    assert told(tmp_path / "work") == ["x.txt: it is a link, which is not followed; put the file itself there"]


# What cannot be read


def test_a_bad_file_beside_a_good_one_is_named(tmp_path: Path) -> None:
    good = write(tmp_path / "good.ipynb")
    bad = write(tmp_path / "bad.ipynb", '{"cells": [')
    submission = read_submission([good, bad])
    assert [notebook.name for notebook in submission.notebooks] == ["good.ipynb"]
    (notice,) = submission.notices
    assert (notice.kind, notice.subject) == (NoticeKind.UNREADABLE_FILE, "bad.ipynb")
    assert str(notice).startswith("bad.ipynb: no valid JSON (the file is cut off)")


def test_without_a_path_there_is_nothing_to_read() -> None:
    with pytest.raises(SubmissionError, match="no file was given"):
        read_submission([])


def test_an_empty_folder_is_a_submission_that_says_what_to_hand_in(tmp_path: Path) -> None:
    assert told(tmp_path) == ["there is no notebook in it; hand in the .ipynb file that Jupyter or Colab saves"]


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.ipynb")
    (tmp_path / "loop.ipynb").symlink_to("loop.ipynb")
    expected: dict[str | Path, str] = {
        tmp_path / "pipe.ipynb": "this is no regular file",
        Path("/dev/zero"): "this is no regular file",
        tmp_path / "missing.ipynb": "there is no such file",
        tmp_path / "loop.ipynb": "cannot be read (Too many levels of symbolic links)",
        tmp_path / "nul\0.ipynb": "cannot be read (embedded null byte)",
        tmp_path / f"{'x' * 300}.ipynb": "cannot be read (File name too long)",
    }
    for path, reason in expected.items():
        with pytest.raises(SubmissionError) as caught:
            read_submission([path])
        assert str(caught.value).startswith(f"{path}: ")
        assert reason in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "hw2.ipynb")
    path.chmod(0)
    with pytest.raises(SubmissionError, match="Permission denied"):
        read_submission([path])


def test_a_large_file_is_left_out_by_its_size_alone(tmp_path: Path) -> None:
    path = tmp_path / "hw2.ipynb"
    with path.open("wb") as file:
        file.truncate(10**12)
    assert "953674.3 MB, more than the 100.0 MB" in told(path)[0]


# Files that were sent


def test_names_that_were_sent_are_no_paths_on_this_machine() -> None:
    sent = [("../../etc/hw2.ipynb", NOTEBOOK), ("C:\\work\\x.csv", b"1"), ("/my.py", b"")]
    submission = collect_submission(sent).read()
    assert [notebook.name for notebook in submission.notebooks] == ["etc/hw2.ipynb"]
    assert [file.path for file in submission.files] == ["C:/work/x.csv", "my.py"]


def test_a_browser_s_number_does_not_hide_a_module() -> None:
    sent = [("hw2.ipynb", NOTEBOOK), ("my_layers (1).py", b"x = 1"), ("data-1.csv", b"")]
    paths = [file.path for file in collect_submission(sent).read().files]
    assert paths == ["data-1.csv", "my_layers (1).py", "my_layers.py"]


def test_json_that_is_no_notebook_is_data() -> None:
    submission = collect_submission([("hw2.ipynb", NOTEBOOK), ("x.json", json.dumps({"cells": 3}).encode())]).read()
    assert [file.path for file in submission.files] == ["x.json"]

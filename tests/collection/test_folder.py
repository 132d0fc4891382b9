"""A folder is read without following a link out of it, and one bad file costs no other student anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from grader.collection import Collection, collect
from grader.collection.folder import read_file
from grader.errors import InputError
from grader.submission.assembly import DEFAULT_COMPANION_BOUNDS
from grader.submission.notebook_json import DEFAULT_BOUNDS
from tests.support.zip_files import NOTEBOOK, zipped


def write(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(NOTEBOOK)
    return root


def files_of(collection: Collection) -> dict[str, list[str]]:
    return {item.key: [name for name, _ in item.files] for item in collection.submissions}


def test_copies_that_systems_keep_are_skipped_with_a_notice(tmp_path: Path) -> None:
    write(tmp_path, "kim/hw2.ipynb", "kim/.ipynb_checkpoints/hw2-checkpoint.ipynb", "kim/._hw2.ipynb", "lee/hw2.ipynb")
    write(tmp_path, "__MACOSX/kim/._hw2.ipynb", ".git/HEAD")
    collection = collect(tmp_path)
    assert files_of(collection) == {"kim": ["hw2.ipynb"], "lee": ["hw2.ipynb"]}
    assert collection.submissions[0].notices == ()
    assert collection.notices == ("skipped: .git, __MACOSX",)


def test_what_lies_beside_a_notebook_comes_along_with_its_path(tmp_path: Path) -> None:
    write(tmp_path, "lee/hw2.ipynb", "kim/hw2.ipynb", "kim/my_layers.py", "kim/data/x.csv", "kim/venv/big.py")
    assert files_of(collect(tmp_path))["kim"] == ["hw2.ipynb", "data/x.csv", "my_layers.py"]


def test_files_past_the_bounds_are_left_out_and_named_code_last(tmp_path: Path) -> None:
    write(tmp_path, "lee/hw2.ipynb", "kim/hw2.ipynb", "kim/z.py")
    for number in range(8):
        with open(tmp_path / "kim" / f"weights-{number}.pt", "wb") as file:
            file.truncate(DEFAULT_COMPANION_BOUNDS.bytes - 1000)
    for number in range(DEFAULT_COMPANION_BOUNDS.files + 1):
        (tmp_path / "lee" / f"{number:03}.png").touch()
    kim, lee = collect(tmp_path).submissions
    assert [name for name, _ in kim.files] == ["hw2.ipynb", "weights-0.pt", "z.py"]
    assert [notice.subject for notice in kim.notices] == [*(f"weights-{number}.pt" for number in range(1, 6)), ""]
    assert str(kim.notices[0]) == (
        "weights-1.pt: it was left out, because more than 500 files and 50 MB lie beside the notebooks; "
        "hand in only what they need"
    )
    assert str(kim.notices[-1]) == "2 more files were left out for the same reason"
    assert (len(lee.files), [notice.subject for notice in lee.notices]) == (501, ["500.png"])


def test_equal_data_of_a_class_is_in_memory_once(tmp_path: Path) -> None:
    write(tmp_path, "lee/hw2.ipynb", "kim/hw2.ipynb", "lee/data.bin", "kim/data.bin")
    kim, lee = collect(tmp_path).submissions
    assert dict(kim.files)["data.bin"] is dict(lee.files)["data.bin"]


@pytest.mark.parametrize("target", ["notebook", "folder"])
def test_no_link_is_followed(tmp_path: Path, target: str) -> None:
    secret = write(tmp_path / "elsewhere", "secret.ipynb")
    submissions = write(tmp_path / "class", "kim/hw2.ipynb", "lee/hw2.ipynb")
    link = submissions / "kim" / ("link.ipynb" if target == "notebook" else "link")
    link.symlink_to(secret / "secret.ipynb" if target == "notebook" else secret, target_is_directory=target == "folder")
    collection = collect(submissions)
    assert files_of(collection)["kim"] == ["hw2.ipynb"]
    assert [str(notice) for notice in collection.submissions[0].notices] == [
        f"{link.name}: it is a link, which is not followed; put the file itself there"
    ]


def test_a_student_with_nothing_but_a_link_is_not_overlooked(tmp_path: Path) -> None:
    write(tmp_path, "kim.ipynb")
    (tmp_path / "lee.ipynb").symlink_to("kim.ipynb")
    assert files_of(collect(tmp_path)) == {"kim": ["kim.ipynb"], "lee": []}


def test_a_file_that_became_a_link_is_not_followed(tmp_path: Path) -> None:
    write(tmp_path, "kim.ipynb")
    (tmp_path / "link.ipynb").symlink_to("kim.ipynb")
    with pytest.raises(InputError, match="it cannot be read"):
        read_file(tmp_path / "link.ipynb")


def test_an_archive_past_its_bounds_is_not_read_whole(tmp_path: Path) -> None:
    write(tmp_path, "lee.ipynb")
    with open(tmp_path / "kim.zip", "wb") as file:
        file.truncate(DEFAULT_BOUNDS.file_bytes + 1)
    (notice,) = collect(tmp_path).submissions[0].notices
    assert str(notice) == "kim.zip: it has more than 100 MB; pack the notebooks alone"


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    write(tmp_path / "class", "kim/hw2.ipynb", "lee/hw2.ipynb")
    (tmp_path / "link").symlink_to("class")
    assert list(files_of(collect(tmp_path / "link"))) == ["kim", "lee"]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    write(tmp_path, "kim/hw2.ipynb", "lee/hw2.ipynb")
    os.mkfifo(tmp_path / "kim" / "pipe.ipynb")
    assert files_of(collect(tmp_path))["kim"] == ["hw2.ipynb"]


def test_a_name_that_is_no_utf_8_is_read(tmp_path: Path) -> None:
    write(tmp_path, "lee.ipynb")
    with open(os.fsencode(tmp_path) + b"/kim\xff.ipynb", "wb") as file:
        file.write(NOTEBOOK)
    (kim, _) = collect(tmp_path).submissions
    assert (kim.name, kim.files) == ("kim\ufffd", (("kim\ufffd.ipynb", NOTEBOOK),))


def test_zip_files_in_a_folder_are_students(tmp_path: Path) -> None:
    for name in ("kim", "lee"):
        (tmp_path / f"{name}.zip").write_bytes(zipped({f"{name}/hw2.ipynb": NOTEBOOK}))
    assert files_of(collect(tmp_path)) == {"kim": ["hw2.ipynb"], "lee": ["hw2.ipynb"]}


def test_the_lms_s_zip_in_a_folder_is_gone_into(tmp_path: Path) -> None:
    (tmp_path / "download.zip").write_bytes(zipped({"kim_1_2_a.ipynb": NOTEBOOK, "lee_3_4_a.ipynb": NOTEBOOK}))
    assert files_of(collect(tmp_path)) == {"kim_1": ["a.ipynb"], "lee_3": ["a.ipynb"]}


def test_a_single_notebook_and_a_zip_file_are_collected_by_their_paths(tmp_path: Path) -> None:
    write(tmp_path, "kim.ipynb")
    (tmp_path / "class.zip").write_bytes(zipped({"kim/a.ipynb": NOTEBOOK, "lee/a.ipynb": NOTEBOOK}))
    assert files_of(collect(tmp_path / "kim.ipynb")) == {"kim": ["kim.ipynb"]}
    assert files_of(collect(tmp_path / "class.zip")) == {"kim": ["a.ipynb"], "lee": ["a.ipynb"]}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing", "there is no such file; check its name"),
        ("missing.ipynb", "there is no such file; check its name"),
        ("notes.txt", "this is no folder, zip file or notebook; give one of them"),
        ("empty", "there is no notebook in it; give a folder or zip file of .ipynb files"),
    ],
)
def test_what_cannot_be_collected_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as refused:
        collect(tmp_path / name)
    assert str(refused.value) == f"{tmp_path / name}: {reason}"

"""Blobs come back unchanged or not at all."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path

import pytest

from grader.errors import InputError, SystemFault
from grader.service.store.blobs import Blobs
from tests.support.threads import at_once


@pytest.fixture(params=["file", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    # fsspec's memory is one for the whole process.
    return Blobs(f"file://{tmp_path}/blobs" if request.param == "file" else f"memory://{uuid.uuid4()}")


@pytest.mark.parametrize("data", [b"", b"a notebook", bytes(range(256)) * 5000], ids=["empty", "short", "long"])
def test_what_was_put_comes_back_under_its_hash(blobs: Blobs, data: bytes) -> None:
    sha256 = blobs.put(data)
    assert sha256 == hashlib.sha256(data).hexdigest()
    assert blobs.get(sha256) == data


def test_the_same_bytes_may_be_put_again_and_at_once(blobs: Blobs) -> None:
    assert len(set(at_once(8, lambda: blobs.put(b"report")))) == 1
    assert blobs.get(blobs.put(b"report")) == b"report"


def test_what_is_not_there_is_a_fault_of_ours(blobs: Blobs) -> None:
    with pytest.raises(SystemFault, match=f"{'0' * 64} is not in"):
        blobs.get("0" * 64)


def test_a_blob_that_was_changed_is_not_given_out(tmp_path: Path) -> None:
    blobs = Blobs(f"file://{tmp_path}")
    sha256 = blobs.put(b"100 points")
    (path,) = tmp_path.glob(f"*/{sha256}")
    path.write_bytes(b"200 points")
    with pytest.raises(SystemFault, match="damaged"):
        blobs.get(sha256)
    assert blobs.put(b"100 points") == sha256  # putting it again mends it
    assert blobs.get(sha256) == b"100 points"


def test_nothing_is_left_of_a_blob_that_could_not_be_written(tmp_path: Path) -> None:
    blobs = Blobs(f"file://{tmp_path}/blobs")
    (tmp_path / "blobs").write_bytes(b"a file where the folder should be")
    with pytest.raises(SystemFault, match="could not be written"):
        blobs.put(b"report")
    with pytest.raises(SystemFault):
        blobs.check()


def test_only_the_service_may_read_students_work(tmp_path: Path) -> None:
    blobs = Blobs(f"file://{tmp_path}/blobs")
    blobs.check()
    sha256 = blobs.put(b"notebook")
    (path,) = tmp_path.glob(f"blobs/*/{sha256}")
    assert path.stat().st_mode & 0o077 == 0
    assert [each.name for each in path.parent.iterdir()] == [sha256]


def test_a_relative_folder_is_below_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Blobs("file://grader-blobs").put(b"report")
    assert (tmp_path / "grader-blobs").is_dir()


def test_a_place_that_nothing_here_can_write_to_is_named() -> None:
    with pytest.raises(InputError, match="nonsense://somewhere"):
        Blobs("nonsense://somewhere")

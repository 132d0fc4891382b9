"""Fetched files are whole and right, or missing: tested with real servers on this machine."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path

import pytest
import torchvision  # type: ignore[import-untyped]

from grader.errors import InputError
from grader.training.datasets import find_data_set
from grader.training.idx import DATA_SETS, FILES
from grader.training.mirrors import MIRRORS, REMOTE, fetch
from tests.support.data_set_mirror import serving, upstream

IMAGES, LABELS = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"


@pytest.fixture(scope="module")
def files(packaged: Path) -> dict[str, bytes]:
    """Fashion-MNIST as a mirror has it."""
    return upstream(packaged)


@pytest.fixture
def unreachable() -> str:
    """A URL that no server answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def laid_out(name: str = "FashionMNIST") -> list[str]:
    return sorted(f"{name}/raw/{file}.gz" for file in FILES)


def test_the_checksums_are_those_of_the_files_that_torchvision_lists(files: dict[str, bytes]) -> None:
    for file, md5 in torchvision.datasets.FashionMNIST.resources:
        assert hashlib.md5(files[file]).hexdigest() == md5
        remote = REMOTE["FashionMNIST"][file.removesuffix(".gz")]
        assert (len(files[file]), hashlib.sha256(files[file]).hexdigest()) == (remote.size, remote.sha256)


def test_every_data_set_can_be_fetched_from_torchvisions_mirror_or_another() -> None:
    assert set(MIRRORS) == set(REMOTE) == set(DATA_SETS)
    for name in DATA_SETS:
        assert getattr(torchvision.datasets, name).mirrors[0] in MIRRORS[name]
        assert len(MIRRORS[name]) >= 2
        assert list(REMOTE[name]) == list(FILES)


def test_what_is_fetched_is_found_and_can_be_used(files: dict[str, bytes], tmp_path: Path) -> None:
    messages: list[str] = []
    with serving(files) as mirror:
        place = fetch("FashionMNIST", tmp_path / "data", [mirror], messages.append)
    assert everything_in(tmp_path / "data") == laid_out()
    assert place.folder == tmp_path / "data" / "FashionMNIST" / "raw"
    found = find_data_set("FashionMNIST", tmp_path / "data", tmp_path / "cache")
    assert found
    assert len(found.train_images) == 60_000
    assert messages[0].startswith("fetching FashionMNIST: 0 % of 31 MB, about ")
    assert messages[-1].startswith("fetching FashionMNIST: 100 % of 31 MB, about 0 s left")


def test_it_is_not_fetched_again_and_only_what_is_missing_or_spoiled_is(
    files: dict[str, bytes], tmp_path: Path
) -> None:
    asked: list[str] = []
    with serving(files, asked=asked) as mirror:
        fetch("FashionMNIST", tmp_path, [mirror])
        assert len(asked) == 4
        fetch("FashionMNIST", tmp_path, [mirror])
        assert len(asked) == 4
        (tmp_path / "FashionMNIST" / "raw" / LABELS).unlink()
        (tmp_path / "FashionMNIST" / "raw" / IMAGES).write_bytes(bytes(len(files[IMAGES])))
        fetch("FashionMNIST", tmp_path, [mirror])
    assert asked[4:] == [IMAGES, LABELS]
    assert (tmp_path / "FashionMNIST" / "raw" / IMAGES).read_bytes() == files[IMAGES]


def test_a_wrong_checksum_is_named_and_nothing_of_the_file_is_kept(files: dict[str, bytes], tmp_path: Path) -> None:
    wrong = bytearray(files[IMAGES])
    wrong[-1] ^= 1
    with serving({**files, IMAGES: bytes(wrong)}) as mirror, pytest.raises(InputError) as refused:
        fetch("FashionMNIST", tmp_path, [mirror])
    assert f"{mirror}/{IMAGES}: wrong checksum" in str(refused.value)
    assert "sudo apt-get install dataset-fashion-mnist, or give another --mirror" in str(refused.value)
    assert everything_in(tmp_path) == [path for path in laid_out() if "t10k" not in path]


def test_more_than_there_should_be_is_not_read(files: dict[str, bytes], tmp_path: Path) -> None:
    with (
        serving({**files, LABELS: files[LABELS] + bytes(100_000)}) as mirror,
        pytest.raises(InputError, match="sent more than 5,148 bytes"),
    ):
        fetch("FashionMNIST", tmp_path, [mirror])


def test_if_a_mirror_is_down_the_next_one_is_tried(files: dict[str, bytes], tmp_path: Path, unreachable: str) -> None:
    wrong = dict.fromkeys(files, b"<html>moved</html>")
    with serving({}) as empty, serving(wrong) as wrong_one, serving(files) as right:
        fetch("FashionMNIST", tmp_path, [unreachable, empty, wrong_one, "no address", right])
    assert everything_in(tmp_path) == laid_out()


def test_if_no_mirror_answers_each_is_named_with_its_error(tmp_path: Path, unreachable: str) -> None:
    with serving({}) as empty, pytest.raises(InputError) as refused:
        fetch("MNIST", tmp_path, [unreachable, empty])
    message = str(refused.value)
    assert f"{unreachable}/train-images-idx3-ubyte.gz: " in message
    assert "Connection refused" in message
    assert f"{empty}/train-images-idx3-ubyte.gz: HTTP Error 404" in message
    assert "to get it: give another --mirror" in message
    assert everything_in(tmp_path) == []


def test_an_interrupted_fetch_leaves_whole_files_only_and_goes_on_where_it_was(
    files: dict[str, bytes], tmp_path: Path
) -> None:
    with (
        serving(files, cut=lambda name: 1_000_000 if name == IMAGES else None) as mirror,
        pytest.raises(InputError, match=r"sent 1,000,000 of 4,422,102 bytes"),
    ):
        fetch("FashionMNIST", tmp_path, [mirror])
    assert everything_in(tmp_path) == [path for path in laid_out() if "t10k" not in path]
    asked: list[str] = []
    with serving(files, asked=asked) as mirror:
        fetch("FashionMNIST", tmp_path, [mirror])
    assert asked == [IMAGES, LABELS]
    assert everything_in(tmp_path) == laid_out()


def test_whoever_ends_a_fetch_finds_nothing_half_written(files: dict[str, bytes], tmp_path: Path) -> None:
    def interrupt(text: str) -> None:
        if "50 %" in text:
            raise KeyboardInterrupt

    with serving(files) as mirror, pytest.raises(KeyboardInterrupt):
        fetch("FashionMNIST", tmp_path, [mirror], interrupt)
    assert everything_in(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_named(files: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with serving(files) as mirror, pytest.raises(InputError, match=r"cannot write to .*file/.*--into"):
        fetch("FashionMNIST", tmp_path / "file", [mirror])


def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give one of FashionMNIST, MNIST"):
        fetch("CIFAR10", tmp_path)
    assert everything_in(tmp_path) == []

"""Data sets are read whole from where they must be, and no folder for students has withheld images."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
import torchvision  # type: ignore[import-untyped]

from grader.errors import InputError
from grader.training.datasets import SHOWN, DataSet, find_data_set, make_shown_folder
from grader.training.idx import FILES, write_header

SHA256 = "14410854cf7a289477dcfc7df3f8ec24741e281cdcc425ede0d9a748ca630214"


def unpacked(packaged: Path, folder: Path) -> Path:
    """Lay the four files out uncompressed."""
    folder.mkdir(parents=True)
    for file in FILES:
        (folder / file).write_bytes(gzip.decompress((packaged / f"{file}.gz").read_bytes()))
    return folder


def test_debians_package_has_seventy_thousand_images_in_ten_classes(fashion_mnist: DataSet) -> None:
    found = fashion_mnist
    assert (found.name, found.sha256) == ("FashionMNIST", SHA256)
    assert (found.train_images.shape, found.train_images.dtype) == ((60_000, 28, 28), torch.uint8)
    assert (found.train_labels.shape, found.train_labels.dtype) == ((60_000,), torch.int64)
    assert found.shown_images.shape == found.withheld_images.shape == (5_000, 28, 28)
    assert torch.bincount(found.train_labels).tolist() == [6_000] * 10
    assert torch.bincount(torch.cat([found.shown_labels, found.withheld_labels])).tolist() == [1_000] * 10


def test_the_images_are_torchvisions(packaged: Path, fashion_mnist: DataSet, tmp_path: Path) -> None:
    unpacked(packaged, tmp_path / "FashionMNIST" / "raw")
    training = torchvision.datasets.FashionMNIST(str(tmp_path), train=True)
    test = torchvision.datasets.FashionMNIST(str(tmp_path), train=False)
    assert torch.equal(training.data, fashion_mnist.train_images)
    assert torch.equal(training.targets, fashion_mnist.train_labels)
    assert torch.equal(test.data, torch.cat([fashion_mnist.shown_images, fashion_mnist.withheld_images]))
    assert torch.equal(test.targets, torch.cat([fashion_mnist.shown_labels, fashion_mnist.withheld_labels]))


@pytest.mark.slow
def test_it_is_the_same_however_its_files_are_packed_and_laid_out(packaged: Path, tmp_path: Path) -> None:
    unpacked(packaged, tmp_path / "direct")
    unpacked(packaged, tmp_path / "data" / "FashionMNIST" / "raw")
    mixed = unpacked(packaged, tmp_path / "mixed")
    (mixed / "t10k-labels-idx1-ubyte").unlink()
    shutil.copy(packaged / "t10k-labels-idx1-ubyte.gz", mixed)
    for folder in ("direct", "data", "mixed"):
        found = find_data_set("FashionMNIST", tmp_path / folder, tmp_path / "cache")
        assert found
        assert found.sha256 == SHA256


def test_it_is_read_once_until_its_files_change(packaged: Path, tmp_path: Path) -> None:
    folder = unpacked(packaged, tmp_path / "raw")
    first = find_data_set("FashionMNIST", folder)
    assert first is find_data_set("FashionMNIST", folder)
    labels = folder / "train-labels-idx1-ubyte"
    labels.write_bytes(write_header((60_000,)) + bytes(60_000))
    second = find_data_set("FashionMNIST", folder)
    assert second
    assert second is not first
    assert second.train_labels.sum() == 0
    assert second.sha256 != SHA256


@pytest.mark.slow
def test_what_was_decoded_is_kept_and_made_again_when_it_is_spoiled(packaged: Path, tmp_path: Path) -> None:
    def sha256() -> str:
        # Another process, because this one remembers.
        code = "import sys; from pathlib import Path; from grader.training.datasets import find_data_set\n"
        code += "print(find_data_set('FashionMNIST', Path(sys.argv[1]), Path(sys.argv[2])).sha256)"
        command = [sys.executable, "-c", code, str(packaged), str(tmp_path)]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()

    assert sha256() == SHA256
    kept = sorted((tmp_path / "data" / "decoded").glob("*-ubyte"))
    assert len(kept) == 4
    written = [path.stat().st_mtime_ns for path in kept]
    assert sha256() == SHA256
    assert [path.stat().st_mtime_ns for path in kept] == written
    content = bytearray(kept[0].read_bytes())
    content[5_000] ^= 1
    kept[0].write_bytes(content)
    kept[1].write_bytes(b"")
    assert sha256() == SHA256
    assert [path.stat().st_size for path in kept] == [len(content), *(path.stat().st_size for path in kept[1:])]
    assert kept[0].read_bytes() != content


def test_without_a_folder_an_unknown_place_is_none_and_with_one_it_says_what_to_do(tmp_path: Path) -> None:
    assert find_data_set("MNIST", cache=tmp_path) is None
    with pytest.raises(InputError, match=r"lacks files of MNIST \(train-images.*; to get it: grader data fetch MNIST"):
        find_data_set("MNIST", tmp_path)
    with pytest.raises(InputError, match="apt-get install dataset-fashion-mnist, or grader data fetch FashionMNIST"):
        find_data_set("FashionMNIST", tmp_path / "missing")
    with pytest.raises(InputError, match="give one of FashionMNIST, MNIST"):
        find_data_set("CIFAR10")


def test_the_cache_is_looked_into(packaged: Path, tmp_path: Path) -> None:
    raw = tmp_path / "data" / "MNIST" / "raw"
    shutil.copytree(packaged, raw)
    found = find_data_set("MNIST", cache=tmp_path)
    assert found
    assert (found.name, found.sha256) == ("MNIST", SHA256)
    (raw / "t10k-labels-idx1-ubyte.gz").unlink()
    assert find_data_set("MNIST", cache=tmp_path) is None


LABELS = write_header((10_000,)) + bytes(10_000)


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("t10k-labels-idx1-ubyte", LABELS[:-1], "is cut or has something after its end"),
        ("t10k-labels-idx1-ubyte", LABELS + b"\0", "larger than this file can be"),
        ("t10k-labels-idx1-ubyte", b"", "does not begin as an IDX file"),
        ("t10k-labels-idx1-ubyte", write_header((10_001,)) + bytes(10_000), "does not begin as an IDX file"),
        ("t10k-labels-idx1-ubyte", LABELS[:-1] + b"\x0a", "a label that is not below 10"),
        ("t10k-labels-idx1-ubyte.gz", gzip.compress(LABELS + b"\0", mtime=0), "is cut or has something after its end"),
        ("t10k-labels-idx1-ubyte.gz", gzip.compress(LABELS, mtime=0)[:-20], "ended before"),
        ("t10k-labels-idx1-ubyte.gz", gzip.compress(LABELS, mtime=0)[:12] + b"\xff" * 50, "invalid"),
        ("t10k-labels-idx1-ubyte.gz", LABELS, "Not a gzipped file"),
        ("t10k-labels-idx1-ubyte.gz", b"\0" * 10_000_000, "larger than this file can be"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "bytes",
)
def test_a_broken_file_is_named_with_what_is_wrong_and_what_to_do(
    packaged: Path, tmp_path: Path, file: str, content: bytes, reason: str
) -> None:
    for name in FILES:
        (tmp_path / f"{name}.gz").symlink_to(packaged / f"{name}.gz")
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    (tmp_path / file).write_bytes(content)
    with pytest.raises(InputError, match=rf"{file}: .*{reason}.*; to get it: sudo apt-get install"):
        find_data_set("FashionMNIST", tmp_path)


def test_a_file_that_unpacks_to_more_than_there_is_memory_is_refused(packaged: Path, tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / f"{name}.gz").symlink_to(packaged / f"{name}.gz")
    bomb = tmp_path / "train-images-idx3-ubyte.gz"
    bomb.unlink()
    million = gzip.compress(bytes(1_000_000), mtime=0)
    bomb.write_bytes(gzip.compress(write_header((60_000, 28, 28))) + million * 40_000)  # 40 GB
    with pytest.raises(InputError, match="is cut or has something after its end"):
        find_data_set("FashionMNIST", tmp_path)


def test_what_is_no_regular_file_is_refused_without_waiting(packaged: Path, tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / f"{name}.gz").symlink_to(packaged / f"{name}.gz")
    pipe = tmp_path / "t10k-labels-idx1-ubyte"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="no regular file"):
        find_data_set("FashionMNIST", tmp_path)
    pipe.unlink()
    pipe.symlink_to("/dev/zero")
    with pytest.raises(InputError, match="no regular file"):
        find_data_set("FashionMNIST", tmp_path)
    pipe.unlink()
    pipe.symlink_to(tmp_path / "nowhere")
    (tmp_path / f"{pipe.name}.gz").unlink()
    with pytest.raises(InputError, match="lacks files of FashionMNIST"):
        find_data_set("FashionMNIST", tmp_path)


@pytest.mark.slow
def test_what_is_shown_is_for_torchvision_and_has_nothing_of_what_is_withheld(
    fashion_mnist: DataSet, tmp_path: Path
) -> None:
    folder = make_shown_folder(fashion_mnist, tmp_path / "cache")
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    (tmp_path / "FashionMNIST").mkdir()
    (tmp_path / "FashionMNIST" / "raw").symlink_to(folder)
    training = torchvision.datasets.FashionMNIST(str(tmp_path), train=True)
    test = torchvision.datasets.FashionMNIST(str(tmp_path), train=False)
    assert torch.equal(training.data, fashion_mnist.train_images)
    assert torch.equal(training.targets, fashion_mnist.train_labels)
    assert torch.equal(test.data, fashion_mnist.shown_images)
    assert torch.equal(test.targets, fashion_mnist.shown_labels)
    everything = b"".join(path.read_bytes() for path in folder.iterdir())
    withheld = [image.numpy().tobytes() for image in fashion_mnist.withheld_images[:50]]
    assert not any(image in everything for image in withheld)
    assert fashion_mnist.shown_images[-1].numpy().tobytes() in everything
    assert len(test) == SHOWN


def test_what_is_shown_can_be_read_by_everybody_whatever_the_umask_is(fashion_mnist: DataSet, tmp_path: Path) -> None:
    mask = os.umask(0o077)
    try:
        folder = make_shown_folder(fashion_mnist, tmp_path)
    finally:
        os.umask(mask)
    assert folder.stat().st_mode & 0o777 == 0o755
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}


def test_what_is_shown_is_written_again_only_where_it_does_not_match(fashion_mnist: DataSet, tmp_path: Path) -> None:
    folder = make_shown_folder(fashion_mnist, tmp_path)
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    labels, images, *_ = spoiled = sorted(FILES)[1::-1]
    assert spoiled == ["t10k-labels-idx1-ubyte", "t10k-images-idx3-ubyte"]
    (folder / labels).unlink()
    (folder / images).write_bytes(before[images][0][:-1] + b"\x01")
    assert make_shown_folder(fashion_mnist, tmp_path) == folder
    after = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    assert {name: content for name, (content, _) in after.items()} == {n: content for n, (content, _) in before.items()}
    assert all(after[name] == before[name] for name in FILES if name not in spoiled)


def test_many_may_ask_at_once_for_what_is_shown(fashion_mnist: DataSet, tmp_path: Path) -> None:
    small = DataSet(
        "FashionMNIST",
        *(fashion_mnist.train_images[:100], fashion_mnist.train_labels[:100]),
        *(fashion_mnist.shown_images[:10], fashion_mnist.shown_labels[:10]),
        *(fashion_mnist.withheld_images[:10], fashion_mnist.withheld_labels[:10]),
        sha256="0" * 64,
    )
    with ThreadPoolExecutor(8) as pool:
        folders = set(pool.map(lambda _: make_shown_folder(small, tmp_path), range(40)))
    (folder,) = folders
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert (folder / "train-images-idx3-ubyte").stat().st_size == 16 + 100 * 28 * 28

"""The inventory describes what a machine has for trainings, and what to do about what is missing."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from grader.training.datasets import DataSet
from grader.training.inventory import describe_training, find_all_data_sets


def test_a_data_set_is_told_with_its_place_and_content(packaged: Path, fashion_mnist: DataSet, tmp_path: Path) -> None:
    fashion, digits = find_all_data_sets(cache=tmp_path)
    assert (fashion.name, fashion.folder, fashion.origin) == ("FashionMNIST", str(packaged), "Debian's package")
    assert (fashion.sha256, fashion.problem) == (fashion_mnist.sha256, None)
    assert (digits.name, digits.folder, digits.sha256) == ("MNIST", None, None)
    assert digits.problem == "not found; to get it: grader data fetch MNIST"


def test_a_broken_data_set_is_told_and_hides_no_other(packaged: Path, tmp_path: Path) -> None:
    raw = tmp_path / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in packaged.iterdir():
        (raw / path.name).write_bytes(b"")
    fashion, digits = find_all_data_sets(cache=tmp_path)
    assert fashion.sha256
    assert digits.problem
    assert "train-images-idx3-ubyte.gz" in digits.problem
    assert digits.problem.endswith("to get it: grader data fetch MNIST")


def test_devices_cores_and_results_are_counted(packaged: Path, tmp_path: Path) -> None:
    (tmp_path / "trainings").mkdir()
    (tmp_path / "trainings" / "one.json").write_text("{}")
    (tmp_path / "trainings" / "one.lock").write_text("")
    facts = dict(describe_training(tmp_path))
    assert facts["data set FashionMNIST"] == f"{packaged} (Debian's package)"
    assert "grader data fetch MNIST" in facts["data set MNIST"]
    assert facts["CPU cores"] == str(len(os.sched_getaffinity(0)))
    assert facts["trainings kept"] == f"1 in {tmp_path / 'trainings'}"
    gpus = [name for name in facts if name.startswith("GPU ")]
    assert len(gpus) == (torch.cuda.device_count() if torch.cuda.is_available() else 0)
    if not gpus:
        assert facts["GPU"] == "none: trainings use the CPU's recipes (quick)"

"""The inventory describes what a machine has for trainings, and what to do about what is missing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.errors import InputError
from grader.training.datasets import DataSet
from grader.training.inventory import describe_training, find_all_data_sets
from tests.support.gpus import StandInDriver, make_gpu, make_slice


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


def describe(monkeypatch: pytest.MonkeyPatch, open_driver: Callable[[], StandInDriver | None]) -> dict[str, str]:
    """Return what is said about GPUs."""
    monkeypatch.setattr("grader.training.inventory.open_driver", open_driver)
    return {name: text for name, text in describe_training() if name.startswith("GPU")}


def test_gpus_and_slices_are_told_as_the_driver_tells_them(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = StandInDriver((make_gpu(), make_slice(index=1)), problems=("GPU 2: it is lost",))
    assert describe(monkeypatch, lambda: driver) == {
        "GPU 0": "NVIDIA H200, 140 GiB; grader doctor --gpu examines it",
        f"GPU 1, slice {driver.gpus[1].uuid}": "NVIDIA H200 MIG 1g.16gb, 16 GiB; grader doctor --gpu examines it",
        "GPU problem 1": "GPU 2: it is lost",
    }


def test_a_machine_without_gpus_trains_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    none = {"GPU": "none: trainings use the CPU's recipes (quick)"}
    assert describe(monkeypatch, lambda: None) == none
    assert describe(monkeypatch, lambda: StandInDriver(())) == none


def test_a_driver_that_cannot_be_used_is_told_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise InputError("restart the machine")

    assert describe(monkeypatch, refuse) == {"GPU": "cannot be used: restart the machine"}

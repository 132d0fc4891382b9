"""Thresholds follow from the accuracies of right models."""

from __future__ import annotations

import datetime
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from grader.assignment import Assignment, load_assignment
from grader.authoring.calibrate import calibrate, describe_machine, write_thresholds
from grader.models.recipe import Mode
from grader.results.calibration import Calibration, Distribution
from grader.sandbox.host.sandbox import Zygote
from grader.training.accelerator import AcceleratorVersions
from grader.training.datasets import DataSet
from grader.training.trainer import Trainer
from tests.support.gpus import StandInDriver
from tests.support.notebooks import submission
from tests.support.small_trainings import LENET, RECIPE, with_small_recipes


def calibration(*accuracies: tuple[float, ...]) -> Calibration:
    return Calibration(
        "lenet.training",
        Mode.QUICK,
        RECIPE,
        tuple(Distribution(f"{n}", ("a",), each) for n, each in enumerate(accuracies)),
    )


def test_the_threshold_lies_four_deviations_below_the_model_that_learns_least() -> None:
    made = calibration((0.80, 0.82, 0.84), (0.70, 0.72, 0.74))
    deviation = 0.02 * (4 / 3) ** 0.5
    assert made.threshold == pytest.approx(int(100 * (0.72 - 4 * deviation)) / 100)
    assert made.good
    assert made.false_fail < 1e-12


def test_a_recipe_under_which_right_models_may_learn_nothing_is_not_good() -> None:
    assert not calibration((0.1, 0.7, 0.72, 0.74)).good


def test_a_threshold_is_below_every_accuracy_that_was_seen() -> None:
    made = calibration((0.700, 0.701, 0.702, 0.700, 0.701, 0.690))
    assert made.threshold < 0.69


@pytest.mark.slow
def test_right_models_are_found_in_right_submissions_and_trained(
    hw2: Assignment, zygote: Zygote, trainer: Trainer
) -> None:
    small = with_small_recipes(hw2)
    only = replace(
        small, items=tuple(replace(item, recipes={}) if item.id != "lenet.training" else item for item in small.items)
    )
    others = {"mine.ipynb": submission(LENET)}
    (made,) = calibrate(only, zygote, trainer, Mode.QUICK, seeds=3, models=2, others=others)
    assert made.item == "lenet.training"
    names = [set(each.submissions) for each in made.distributions]
    assert any("the model solution" in each for each in names)
    assert any("mine.ipynb" in each for each in names)
    assert {len(each.accuracies) for each in made.distributions} == {3}


def test_thresholds_are_written_with_their_data_and_nothing_else_changes(hw2: Assignment, tmp_path: Path) -> None:
    folder = tmp_path / "hw2"
    folder.mkdir()
    text = (hw2.folder / "rubric.toml").read_text().replace('reference = "../../reference"\n', "")
    (folder / "rubric.toml").write_text(text)
    for name in ("test_7_6_lenet.py", "book.fingerprints"):
        shutil.copy(hw2.folder / name, folder)
    made = calibration((0.80, 0.82, 0.84))
    machine = {"device": "NVIDIA H200", "torch": "2.14.1", "multiprocessors": 132, "driver": "580.95.05"}
    write_thresholds(load_assignment(folder), [made], machine)
    written = load_assignment(folder)
    (item,) = (each for each in written.items if each.id == "lenet.training")
    assert item.recipes[Mode.QUICK].threshold == made.threshold
    before, after = tomllib.loads(text), tomllib.loads((folder / "rubric.toml").read_text())
    (table,) = (each for each in after["items"] if each["id"] == "lenet.training")
    basis = table["recipes"]["quick"].pop("calibration")
    assert item.recipes[Mode.QUICK].calibrated_on == "NVIDIA H200"
    assert basis["date"] == datetime.datetime.now(datetime.UTC).date()
    assert machine.items() <= basis.items()
    assert (basis["trainings"], basis["graphs"], basis["lowest"]) == (3, 1, 0.8)
    (old,) = (each for each in before["items"] if each["id"] == "lenet.training")
    table["recipes"]["quick"]["threshold"] = old["recipes"]["quick"]["threshold"]
    old["recipes"]["quick"].pop("calibration", None)
    assert after == before
    assert "# HW2: chapters 7 and 8" in (folder / "rubric.toml").read_text()


def test_a_calibration_names_the_device_and_the_versions_that_decide_numbers(
    trainer: Trainer, fashion_mnist: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_cpu = describe_machine(trainer, None)
    assert set(on_cpu) == {"device", "torch", "instructions"}
    assert on_cpu["device"] == "cpu"
    versions = AcceleratorVersions("NVIDIA H200", "9.0", 132, "13.0", "92400")
    driver = StandInDriver()
    with Trainer(fashion_mnist, gpu=driver.gpus[0], driver=driver) as on_gpu:
        monkeypatch.setattr(on_gpu, "describe", lambda: versions)
        machine = describe_machine(on_gpu, driver)
    assert machine == {
        "device": "NVIDIA H200",
        "torch": on_cpu["torch"],
        "capability": "9.0",
        "multiprocessors": 132,
        "cuda": "13.0",
        "cudnn": "92400",
        "driver": "580.95.05",
    }

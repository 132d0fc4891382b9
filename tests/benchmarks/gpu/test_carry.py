"""What travels to a bare machine: all that grading needs, and no more than fits."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks.gpu.carry import MOST_BYTES, carry, list_wheels, measure_tree
from grader.errors import InputError
from tests.support.paths import ROOT

BRING_UP = ROOT / "benchmarks" / "gpu" / "bring_up.sh"


def test_grading_and_its_needs_travel_and_what_the_machine_has_does_not() -> None:
    names = {wheel.partition("==")[0] for wheel in list_wheels()}
    assert {"ipykernel", "nbclient", "pyseccomp", "tomlkit", "d2l", "rpds-py", "pytest"} <= names
    assert not {"torch", "torchvision", "numpy", "ruff", "notebook-grader", "matplotlib"} & names
    assert all("==" in wheel for wheel in list_wheels())


def test_the_tree_leaves_room_for_what_is_carried(tmp_path: Path) -> None:
    assert 2**20 < measure_tree(ROOT) < MOST_BYTES - 48 * 2**20


def test_a_notebook_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.ipynb is missing"):
        carry(tmp_path / "carried", [tmp_path / "no.ipynb"], "3.12")


@pytest.mark.slow
def test_without_wheels_the_check_runs_and_says_what_is_missing(tmp_path: Path) -> None:
    """Every part is a row although nothing that it imports is there."""
    environment = tmp_path / "environment"
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", str(environment)], check=True)
    (tmp_path / "carried").mkdir()
    done = subprocess.run(
        ["bash", str(BRING_UP), str(tmp_path / "carried"), str(tmp_path / "results"), "--rehearse", "--only", "facts"],
        env={"PATH": f"{environment}/bin:/usr/sbin:/usr/bin:/sbin:/bin", "GRADER_CHECK_STATE": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the wheels are not installed" in done.stdout
    assert "No module named" in (tmp_path / "results" / "table.txt").read_text("utf-8")

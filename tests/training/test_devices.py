"""Which device trains, and what its processes see."""

from __future__ import annotations

import subprocess
import sys

import pytest

from grader.errors import InputError
from grader.models.recipe import Mode
from grader.training import devices
from grader.training.devices import choose_concurrency, choose_default_mode, find_gpu, make_environment
from tests.support.gpus import StandInDriver, make_gpu, make_slice


def test_the_mode_follows_from_the_gpu_that_the_driver_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    driver = StandInDriver(gpus=(make_gpu(), make_gpu(1)))
    monkeypatch.setattr(devices, "open_driver", lambda: driver)
    with pytest.raises(InputError, match="CUDA_VISIBLE_DEVICES"):
        find_gpu()
    assert choose_default_mode() is Mode.QUICK
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", driver.gpus[1].uuid)
    assert find_gpu() == driver.gpus[1]
    assert choose_default_mode() is Mode.FULL
    monkeypatch.setattr(devices, "open_driver", lambda: None)
    assert choose_default_mode() is Mode.QUICK


def test_processes_see_their_gpu_alone_and_nothing_that_changes_numbers() -> None:
    inherited = {"PATH": "/bin", "CUDA_VISIBLE_DEVICES": "3", "CUDA_LAUNCH_BLOCKING": "1", "NVIDIA_TF32_OVERRIDE": "1"}
    part = make_slice()
    assert make_environment(part, inherited) == {
        "PATH": "/bin",
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": part.uuid,
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "NVIDIA_TF32_OVERRIDE": "0",
    }
    assert make_environment(None, inherited)["CUDA_VISIBLE_DEVICES"] == ""


def test_several_small_trainings_share_a_gpu() -> None:
    assert choose_concurrency(make_gpu()) == 8


def test_the_process_that_grades_asks_torch_for_no_gpu() -> None:
    code = (
        "import torch\n"
        "def refuse(*_): raise AssertionError('asked')\n"
        "torch._C._cuda_getDeviceCount = torch.cuda._lazy_init = torch.cuda.device_count = refuse\n"
        "torch.cuda.is_available = refuse\n"
        "import grader.grading.grade, grader.training.trainer as t\n"
        "from grader.training.devices import choose_default_mode\n"
        "from grader.training.datasets import find_data_set\n"
        "from tests.support.gpus import make_gpu\n"
        "choose_default_mode()\n"
        "t.Trainer(find_data_set(), gpu=make_gpu()).close()\n"
        "print('asked nothing', torch.cuda.is_initialized())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout == "asked nothing False\n", run.stderr

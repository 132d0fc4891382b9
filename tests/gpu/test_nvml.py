"""The driver by NVML, against a stand-in of pynvml that tests/contracts/test_pynvml.py holds against the real one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pynvml
import pytest

from grader.errors import DeviceFault, InputError
from grader.gpu.device import GPU
from grader.gpu.driver import Driver, GPUProcess, GPUSettings
from grader.gpu.health import check_health
from grader.gpu.nvml import NVMLDriver, connect, explain_no_driver, open_driver
from tests.support.stand_in_nvml import StandInGPU, StandInNVML, raise_error

GIB = 2**30


def open_stand_in(*gpus: StandInGPU, **functions: Callable[..., Any]) -> tuple[StandInNVML, NVMLDriver]:
    """Return the stand-in and a driver that asks it."""
    nvml = StandInNVML(*gpus, **functions)
    driver = connect(nvml, ())
    assert isinstance(driver, NVMLDriver)
    return nvml, driver


def make_divided() -> StandInGPU:
    """Return a GPU in MIG mode with two slices and a gap between them."""
    parts = [
        StandInGPU("MIG-a", "NVIDIA H200 MIG 1g.18gb", 16 * GIB, instances=(7, 0)),
        None,
        StandInGPU("MIG-b", "NVIDIA H200 MIG 3g.71gb", 69 * GIB, instances=(2, 1)),
    ]
    return StandInGPU("GPU-whole", minor=3, slices=parts)


# Opening


def test_a_machine_without_a_driver_has_none_and_says_what_to_do() -> None:
    code = (
        "from grader.gpu.nvml import open_driver, explain_no_driver\n"
        "assert open_driver() is None\n"
        "print(explain_no_driver())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    if (driver := open_driver()) is None:
        assert "install NVIDIA's driver" in done.stdout
        assert done.stderr == ""
        assert explain_no_driver() == done.stdout.rstrip()
    else:
        assert driver is open_driver()


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "install NVIDIA's driver"),
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "its kernel module is not loaded"),
    ],
)
def test_no_library_and_no_kernel_module_are_no_driver(code: int, says: str) -> None:
    found = connect(StandInNVML(nvmlInit=raise_error(code)), ())
    assert isinstance(found, str)
    assert says in found


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "Driver/library version mismatch"),
        (pynvml.NVML_ERROR_NO_PERMISSION, "must be readable and writable"),
        (pynvml.NVML_ERROR_UNKNOWN, "restart the container"),
        (pynvml.NVML_ERROR_IRQ_ISSUE, "restart the machine"),
        (pynvml.NVML_ERROR_NO_DATA, "the driver says"),
    ],
)
def test_a_driver_that_cannot_be_used_is_an_error_that_says_what_to_do(code: int, says: str) -> None:
    with pytest.raises(InputError, match=says):
        connect(StandInNVML(nvmlInit=raise_error(code)), ())


def test_a_library_that_the_linker_does_not_find_is_loaded_from_the_driver_s_folders(tmp_path: Path) -> None:
    calls = 0

    def find_at_last() -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "libnvidia-ml.so.1").write_text("no library")
    good = tmp_path / "good"
    good.mkdir()
    (good / "libnvidia-ml.so.1").symlink_to(_find_some_library())
    assert isinstance(connect(StandInNVML(nvmlInit=find_at_last), (tmp_path / "none", broken, good)), NVMLDriver)
    assert calls == 2


def _find_some_library() -> Path:
    import _ctypes

    return Path(_ctypes.__file__)


def test_the_versions_are_told() -> None:
    _, driver = open_stand_in()
    assert driver.version == "580.95.05"
    assert driver.cuda_version == (13, 1)


# Which there are


def test_gpus_are_told_by_their_number() -> None:
    _, driver = open_stand_in(StandInGPU("GPU-a", "NVIDIA L4", 24 * GIB, minor=1), StandInGPU("GPU-b", minor=0))
    checked: Driver = driver
    assert checked.list_gpus() == (
        GPU("GPU-a", "NVIDIA L4", 24 * GIB, 0, 1),
        GPU("GPU-b", "NVIDIA H200", 140 * GIB, 1, 0),
    )
    assert driver.list_problems() == ()


def test_a_gpu_in_mig_mode_is_told_as_its_slices() -> None:
    _, driver = open_stand_in(StandInGPU("GPU-a"), make_divided())
    assert driver.list_gpus()[1:] == (
        GPU("MIG-a", "NVIDIA H200 MIG 1g.18gb", 16 * GIB, 1, 3, 7, 0),
        GPU("MIG-b", "NVIDIA H200 MIG 3g.71gb", 69 * GIB, 1, 3, 2, 1),
    )
    assert all(gpu.is_slice for gpu in driver.list_gpus()[1:])


def test_mig_mode_without_slices_is_a_problem_that_says_what_to_do() -> None:
    _, driver = open_stand_in(StandInGPU("GPU-a", slices=[]))
    assert driver.list_gpus() == ()
    (problem,) = driver.list_problems()
    assert "in MIG mode and has no slices" in problem
    assert "nvidia-smi mig -cgi" in problem


@pytest.mark.parametrize("where", ["nvmlDeviceGetHandleByIndex", "nvmlDeviceGetMemoryInfo", "nvmlDeviceGetMigMode"])
def test_a_lost_gpu_is_a_problem_and_hides_no_other(where: str) -> None:
    lost = StandInGPU("GPU-a", errors={where: pynvml.NVML_ERROR_GPU_IS_LOST})
    _, driver = open_stand_in(lost, StandInGPU("GPU-b"))
    assert [gpu.uuid for gpu in driver.list_gpus()] == ["GPU-b"]
    (problem,) = driver.list_problems()
    assert problem.startswith("GPU 0: it is lost (fallen off the bus")


@pytest.mark.parametrize("code", [pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_FUNCTION_NOT_FOUND])
def test_a_gpu_that_knows_no_mig_mode_is_a_whole_one(code: int) -> None:
    _, driver = open_stand_in(StandInGPU("GPU-a", errors={"nvmlDeviceGetMigMode": code}))
    assert not driver.list_gpus()[0].is_slice


# How they are


def test_memory_and_processes_are_those_of_the_gpu_asked_for() -> None:
    first = StandInGPU("GPU-a", used=3 * GIB, processes=[(17, 2 * GIB), (18, None)])
    _, driver = open_stand_in(first, StandInGPU("GPU-b"))
    gpu, other = driver.list_gpus()
    assert (driver.used_memory(gpu), driver.used_memory(other)) == (3 * GIB, 0)
    assert driver.list_processes(gpu) == (GPUProcess(17, 2 * GIB), GPUProcess(18, None))
    assert driver.list_processes(other) == ()


def test_the_memory_of_a_slice_is_its_own() -> None:
    divided = make_divided()
    assert divided.slices
    assert divided.slices[0]
    divided.slices[0].used = GIB
    _, driver = open_stand_in(divided)
    assert [driver.used_memory(gpu) for gpu in driver.list_gpus()] == [GIB, 0]


def test_a_process_that_computes_and_draws_is_told_once() -> None:
    gpu = StandInGPU("GPU-a", processes=[(17, GIB)])
    _, driver = open_stand_in(
        gpu,
        nvmlDeviceGetGraphicsRunningProcesses=lambda gpu: StandInNVML(gpu).nvmlDeviceGetComputeRunningProcesses(gpu),
        nvmlDeviceGetMPSComputeRunningProcesses=raise_error(pynvml.NVML_ERROR_NOT_SUPPORTED),
    )
    assert driver.list_processes(driver.list_gpus()[0]) == (GPUProcess(17, GIB),)


@pytest.mark.parametrize(
    ("code", "error", "says"),
    [
        (pynvml.NVML_ERROR_GPU_IS_LOST, DeviceFault, "GPU 0 .GPU-a.: it is lost"),
        (pynvml.NVML_ERROR_RESET_REQUIRED, DeviceFault, "nvidia-smi --gpu-reset"),
        (pynvml.NVML_ERROR_NOT_FOUND, DeviceFault, "not there any more"),
        (pynvml.NVML_ERROR_NO_PERMISSION, InputError, "must be readable and writable"),
        (pynvml.NVML_ERROR_NOT_SUPPORTED, InputError, "cannot be used for grading"),
    ],
)
def test_what_the_driver_does_not_answer_is_told_in_plain_words(code: int, error: type[Exception], says: str) -> None:
    stand_in = StandInGPU("GPU-a")
    _, driver = open_stand_in(stand_in)
    (gpu,) = driver.list_gpus()
    stand_in.errors[""] = code
    for question in (driver.used_memory, driver.list_processes, driver.read_settings):
        with pytest.raises(error, match=says):
            question(gpu)


def test_settings_are_told_and_those_that_a_gpu_has_not_are_none() -> None:
    missing = pynvml.NVML_ERROR_NOT_SUPPORTED
    plain = StandInGPU(
        "GPU-b",
        errors=dict.fromkeys(
            [
                f"nvmlDeviceGet{name}"
                for name in ("MigMode", "EccMode", "PersistenceMode", "ComputeMode", "RemappedRows")
            ]
            + ["nvmlDeviceGetFieldValues"],
            missing,
        ),
    )
    _, driver = open_stand_in(StandInGPU("GPU-a", recovery=1), plain)
    first, second = driver.list_gpus()
    assert driver.read_settings(first) == GPUSettings(
        mig=False,
        ecc=True,
        persistence=False,
        compute_mode="default",
        rows_failing=False,
        rows_pending=False,
        recovery="a reset of the GPU",
    )
    assert driver.read_settings(second) == GPUSettings()


def test_the_settings_of_a_slice_are_those_of_its_gpu() -> None:
    _, driver = open_stand_in(make_divided())
    assert driver.read_settings(driver.list_gpus()[0]).mig is True


# Faults


def test_faults_are_taken_once_and_only_by_the_gpu_that_has_them() -> None:
    first, second = StandInGPU("GPU-a"), StandInGPU("GPU-b")
    nvml, driver = open_stand_in(first, second)
    gpu, other = driver.list_gpus()
    nvml.report(first, 79)
    assert driver.take_faults(other) == ()
    assert driver.take_faults(gpu) == ("Xid 79: it has fallen off the bus",)
    assert driver.take_faults(gpu) == ()


def test_faults_before_the_first_question_are_not_missed() -> None:
    first = StandInGPU("GPU-a")
    nvml, driver = open_stand_in(first)
    nvml.report(first, 48)
    assert driver.take_faults(driver.list_gpus()[0])


def test_what_a_program_does_to_itself_is_a_note_and_no_fault() -> None:
    first = StandInGPU("GPU-a")
    nvml, driver = open_stand_in(first)
    (gpu,) = driver.list_gpus()
    for xid in (13, 31, 43, 45):
        nvml.report(first, xid)
    nvml.report(first, 95)
    assert len(driver.take_faults(gpu)) == 1
    assert [note.split(":")[0] for note in driver.take_notes(gpu)] == ["Xid 13", "Xid 31", "Xid 43", "Xid 45"]
    assert driver.take_notes(gpu) == ()


def test_a_fault_of_one_slice_is_not_that_of_its_neighbour_and_one_of_the_gpu_is_both_s() -> None:
    divided = make_divided()
    nvml, driver = open_stand_in(divided)
    first, second = driver.list_gpus()
    nvml.report(divided, 94, instances=(2, 1))
    assert driver.take_faults(first) == ()
    assert driver.take_faults(second)
    nvml.report(divided, 79)
    assert driver.take_faults(first)
    assert driver.take_faults(second)


def test_a_program_that_faults_without_end_costs_no_memory() -> None:
    first = StandInGPU("GPU-a")
    nvml, driver = open_stand_in(first)
    (gpu,) = driver.list_gpus()
    for _ in range(1000):
        nvml.report(first, 13)
    assert len(driver.take_notes(gpu)) <= 256


def test_a_gpu_without_events_has_no_faults() -> None:
    first = StandInGPU("GPU-a", errors={"nvmlDeviceRegisterEvents": pynvml.NVML_ERROR_NOT_SUPPORTED})
    nvml, driver = open_stand_in(first)
    nvml.report(first, 79)
    assert driver.take_faults(driver.list_gpus()[0]) == ()
    _, driver = open_stand_in(first, nvmlEventSetCreate=raise_error(pynvml.NVML_ERROR_NOT_SUPPORTED))
    assert driver.take_faults(driver.list_gpus()[0]) == ()


def test_a_gpu_that_is_lost_after_its_fault_hides_no_fault_of_another() -> None:
    lost, second = StandInGPU("GPU-a"), StandInGPU("GPU-b")
    nvml, driver = open_stand_in(lost, second)
    gpu, other = driver.list_gpus()
    nvml.report(lost, 79)
    nvml.report(second, 48)
    lost.errors[""] = pynvml.NVML_ERROR_GPU_IS_LOST
    assert driver.take_faults(other)
    assert driver.take_faults(gpu) == ()
    with pytest.raises(DeviceFault, match="it is lost"):
        check_health(driver, gpu)

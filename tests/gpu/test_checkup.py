"""What the driver tells about a machine, and what to do about what is not as it should be."""

from __future__ import annotations

import pytest

from grader.gpu.checkup import GPUCheckup, check_cuda, check_gpus
from grader.gpu.driver import GPUProcess, GPUSettings
from tests.support.gpus import GIB, StandInDriver, make_gpu, make_slice

OURS = make_gpu()


def check_one(driver: StandInDriver) -> GPUCheckup:
    (found,) = check_gpus(driver, "13.0").gpus
    return found


def test_a_good_machine_has_neither_problems_nor_advice() -> None:
    settings = GPUSettings(False, True, True, "default", False, False, "")
    driver = StandInDriver((OURS,), used={OURS.uuid: GIB}, settings={OURS.uuid: settings})
    driver.processes = {OURS.uuid: [GPUProcess(17, GIB)]}
    checkup = check_gpus(driver, "13.0")
    assert (checkup.driver, checkup.cuda, checkup.problems) == ("580.95.05", "13.0", ())
    assert checkup.gpus == (GPUCheckup(OURS, GIB, (GPUProcess(17, GIB),), settings),)


@pytest.mark.parametrize(
    ("supported", "built_with", "says"),
    [
        ((13, 0), "13.0", ""),
        ((13, 0), "13.2", ""),  # minor versions are compatible
        ((13, 2), "12.8", ""),
        ((12, 4), "13.0", "supports CUDA 12.4, and torch was built with 13.0: install driver 580 or newer"),
        ((13, 0), "14.0", "install driver a newer one"),
        ((13, 0), None, "torch was built without CUDA"),
    ],
)
def test_a_driver_that_is_too_old_for_torch_is_a_problem(
    supported: tuple[int, int], built_with: str | None, says: str
) -> None:
    problems = tuple(check_cuda(StandInDriver(cuda_version=supported), built_with))
    assert len(problems) == bool(says)
    assert says in "".join(problems)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (GPUSettings(recovery="a reset of the GPU"), "the driver asks for a reset of the GPU"),
        (GPUSettings(rows_failing=True), "have it replaced"),
        (GPUSettings(compute_mode="prohibited"), "nvidia-smi -c DEFAULT"),
        (GPUSettings(compute_mode="exclusive process"), "grading needs two at once: nvidia-smi -c DEFAULT"),
    ],
)
def test_a_setting_that_forbids_grading_is_a_problem(settings: GPUSettings, says: str) -> None:
    (problem,) = check_one(StandInDriver((OURS,), settings={OURS.uuid: settings})).problems
    assert says in problem


def test_a_setting_that_could_be_better_is_advice() -> None:
    settings = GPUSettings(ecc=False, persistence=False, rows_pending=True)
    found = check_one(StandInDriver((OURS,), settings={OURS.uuid: settings}))
    assert found.problems == ()
    assert [word in "".join(found.advice) for word in ("nvidia-smi -e 1", "nvidia-smi -pm 1", "--gpu-reset")] == [
        True
    ] * 3


def test_a_gpu_with_a_fault_or_without_an_answer_is_a_problem_of_its_own() -> None:
    second = make_slice(index=1)
    driver = StandInDriver((OURS, second), faults={OURS.uuid: ["Xid 79: it has fallen off the bus"]})
    first, other = check_gpus(driver, "13.0").gpus
    assert first.problems == ("Xid 79: it has fallen off the bus: look at dmesg before it is used",)
    assert other.problems == ()
    driver.list_gpus = lambda: (OURS, second)  # type: ignore[method-assign]
    driver.lost.add(second.uuid)
    assert "it is lost" in check_gpus(driver, "13.0").gpus[1].problems[0]


def test_no_gpu_is_a_problem() -> None:
    assert "lists no GPU" in check_gpus(StandInDriver(()), "13.0").problems[0]
    assert check_gpus(StandInDriver((), problems=("GPU 0: no slices",)), "13.0").problems == ("GPU 0: no slices",)

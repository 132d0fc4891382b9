"""A session's GPU is checked around each submission, and its memory is given back in between."""

from __future__ import annotations

import logging

import pytest

from grader.errors import DeviceFault
from grader.gpu import memory
from grader.grading import guarded_gpu
from grader.grading.guarded_gpu import GuardedGPU
from tests.support.gpus import GIB, StandInDriver, make_gpu

ITS = make_gpu()


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> StandInDriver:
    made = StandInDriver(gpus=(ITS,), used={ITS.uuid: 2 * GIB})
    monkeypatch.setattr(guarded_gpu, "open_driver", lambda: made)
    monkeypatch.setattr(memory, "_LONGEST_PAUSE", 0.01)
    return made


@pytest.fixture
def no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the time for memory to come back pass at the first look."""
    clock = iter(range(0, 10_000, 60))
    monkeypatch.setattr("grader.gpu.memory.time.sleep", lambda _: None)
    monkeypatch.setattr("grader.gpu.memory.time.monotonic", lambda: float(next(clock)))


def test_memory_that_comes_back_is_no_fault(driver: StandInDriver) -> None:
    guarded = GuardedGPU(ITS)
    for _ in range(2):
        guarded.begin_submission()
        answers = iter([9 * GIB, 5 * GIB, 2 * GIB])
        driver.used[ITS.uuid] = lambda answers=answers: next(answers, 2 * GIB)  # type: ignore[misc]
        guarded.require_memory_back()


@pytest.mark.usefixtures("no_time")
def test_memory_that_does_not_come_back_is_a_fault_and_told_once(driver: StandInDriver) -> None:
    guarded = GuardedGPU(ITS)
    guarded.begin_submission()
    driver.used[ITS.uuid] = 3 * GIB
    with pytest.raises(DeviceFault, match=r"3,072 MiB of its memory are in use .* 2,048 MiB before"):
        guarded.require_memory_back()
    guarded.require_memory_back()


@pytest.mark.usefixtures("no_time")
def test_what_several_submissions_leave_adds_up(driver: StandInDriver) -> None:
    guarded = GuardedGPU(ITS)

    def leave(left: int) -> None:
        guarded.begin_submission()
        driver.used[ITS.uuid] = 2 * GIB + left
        guarded.require_memory_back()

    leave(memory.TOLERANCE_BYTES // 2)
    leave(memory.TOLERANCE_BYTES)
    with pytest.raises(DeviceFault, match="of its memory are in use"):
        leave(memory.TOLERANCE_BYTES + 1)


def test_a_fault_that_the_driver_reports_is_raised_before_and_after_a_submission(driver: StandInDriver) -> None:
    guarded = GuardedGPU(ITS)
    driver.faults[ITS.uuid] = ["Xid 79: it has fallen off the bus"]
    with pytest.raises(DeviceFault, match="Xid 79"):
        guarded.begin_submission()
    guarded.begin_submission()
    driver.faults[ITS.uuid] = ["Xid 48: an error in its memory"]
    with pytest.raises(DeviceFault, match="Xid 48"):
        guarded.check_health()


def test_what_a_notebook_did_wrong_on_the_gpu_is_logged_and_no_fault(
    driver: StandInDriver, caplog: pytest.LogCaptureFixture
) -> None:
    driver.notes[ITS.uuid] = ["Xid 31: a kernel read outside of its memory"]
    with caplog.at_level(logging.WARNING):
        GuardedGPU(ITS).check_health()
    assert "a kernel read outside of its memory" in caplog.text


def test_a_driver_that_is_gone_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded_gpu, "open_driver", lambda: None)
    with pytest.raises(DeviceFault, match="the driver is gone; see `grader doctor --gpu`"):
        GuardedGPU(ITS).begin_submission()

"""What takes a GPU out of use, and what only belongs in a log."""

from __future__ import annotations

import pytest

from grader.errors import DeviceFault
from grader.gpu.driver import GPUSettings
from grader.gpu.health import check_health
from tests.support.gpus import StandInDriver, make_gpu

OURS = make_gpu()


def test_a_gpu_without_events_is_well() -> None:
    assert check_health(StandInDriver((OURS,)), OURS) == ()


def test_a_fault_is_raised_once_with_the_gpu() -> None:
    driver = StandInDriver((OURS,), faults={OURS.uuid: ["Xid 48: bad memory", "Xid 79: off the bus"]})
    with pytest.raises(DeviceFault, match=f"^GPU 0 .{OURS.uuid}.: Xid 48: bad memory; Xid 79: off the bus$"):
        check_health(driver, OURS)
    assert check_health(driver, OURS) == ()


def test_what_a_student_s_kernel_did_is_returned_and_no_fault() -> None:
    driver = StandInDriver((OURS,), notes={OURS.uuid: ["Xid 13: out of bounds"]})
    assert check_health(driver, OURS) == ("Xid 13: out of bounds",)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (GPUSettings(recovery="a reset of the GPU"), "the driver asks for a reset of the GPU"),
        (GPUSettings(rows_failing=True), "cannot be repaired"),
    ],
)
def test_what_the_driver_says_of_its_state_is_a_fault(settings: GPUSettings, says: str) -> None:
    driver = StandInDriver((OURS,), settings={OURS.uuid: settings})
    with pytest.raises(DeviceFault, match=says):
        check_health(driver, OURS)


def test_rows_that_are_to_be_replaced_are_no_fault() -> None:
    assert not check_health(StandInDriver((OURS,), settings={OURS.uuid: GPUSettings(rows_pending=True)}), OURS)


def test_a_gpu_that_does_not_answer_is_a_fault() -> None:
    with pytest.raises(DeviceFault, match="it is lost"):
        check_health(StandInDriver((OURS,), lost={OURS.uuid}), OURS)

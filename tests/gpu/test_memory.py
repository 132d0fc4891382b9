"""Memory of a GPU that a body leaves in use is a fault, and waiting for it takes no longer than needed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from grader.errors import DeviceFault
from grader.gpu.driver import GPUProcess
from grader.gpu.memory import require_memory_back
from tests.support.gpus import StandInDriver, make_gpu

MIB = 2**20
OURS = make_gpu()


def use(*amounts: int) -> StandInDriver:
    """Return a driver whose GPU has these MiB in use at each question, the last for ever after."""
    left = list(amounts)

    def answer() -> int:
        return (left.pop(0) if len(left) > 1 else left[0]) * MIB

    return StandInDriver((OURS,), used={OURS.uuid: answer})


def leave(driver: StandInDriver, seconds: float = 0.0, **options: int) -> None:
    with require_memory_back(driver, OURS, seconds=seconds, **options):
        pass


def test_memory_that_is_back_at_once_takes_one_question() -> None:
    leave(use(500, 500))
    leave(use(500, 100))


def test_memory_that_comes_back_later_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    leave(use(500, 9000, 4000, 800, 500), seconds=60)
    assert len(pauses) == 3
    assert pauses == sorted(pauses)


def test_memory_within_the_tolerance_may_stay() -> None:
    leave(use(500, 564))
    leave(use(500, 600), tolerance=100 * MIB)


def test_memory_that_stays_is_a_fault_with_its_figures_and_processes() -> None:
    driver = use(500, 9000)
    driver.processes = {OURS.uuid: [GPUProcess(17, 8000 * MIB), GPUProcess(18)]}
    with pytest.raises(DeviceFault) as caught:
        leave(driver)
    assert str(caught.value) == (
        f"GPU 0 ({OURS.uuid}): 9,000 MiB of its memory are in use 0 s after the end, 500 MiB before, "
        "by process 17 (8,000 MiB), process 18"
    )


def test_memory_of_no_process_is_told_as_such() -> None:
    with pytest.raises(DeviceFault, match="the driver lists no process"):
        leave(use(0, 65))


def test_what_several_bodies_leave_does_not_add_up_past_the_baseline() -> None:
    leave(use(50, 100))
    with pytest.raises(DeviceFault, match="100 MiB of its memory are in use"):
        leave(use(50, 100), baseline=20 * MIB)
    leave(use(50, 60), baseline=1000 * MIB)


def _fail(driver: StandInDriver, error: BaseException) -> Callable[[], None]:
    def run() -> None:
        with require_memory_back(driver, OURS, seconds=0):
            raise error

    return run


def test_an_error_of_the_body_is_kept_if_the_memory_is_back_and_is_the_cause_if_not() -> None:
    with pytest.raises(KeyError):
        _fail(use(500, 500), KeyError("x"))()
    with pytest.raises(DeviceFault) as caught:
        _fail(use(500, 9000), KeyError("x"))()
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize("error", [DeviceFault("lost"), KeyboardInterrupt()])
def test_a_fault_of_the_gpu_and_an_interrupt_are_not_waited_for(error: BaseException) -> None:
    driver = use(500, 9000)
    with pytest.raises(type(error)) as caught:
        _fail(driver, error)()
    assert caught.value is error


def test_a_gpu_that_vanishes_meanwhile_is_a_fault() -> None:
    driver = use(500)
    with pytest.raises(DeviceFault, match="it is lost"), require_memory_back(driver, OURS):
        driver.lost.add(OURS.uuid)

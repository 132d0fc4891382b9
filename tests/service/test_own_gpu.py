"""A worker's GPU: how it is chosen, and what becomes of a job if it fails before, during or after it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from grader.errors import DeviceFault, InputError
from grader.gpu.access import find_access
from grader.gpu.device import GPU, DeviceAccess
from grader.gpu.memory import require_memory_back
from grader.grading import guarded_gpu, session
from grader.service import own_gpu
from grader.service.own_gpu import OwnGPU, choose_gpu, hold_own_gpu
from grader.service.store.schema import State
from grader.service.tasks import JobRunner
from tests.support.gpus import StandInDriver, make_gpu
from tests.support.notebooks import notebook_bytes
from tests.support.running_service import RunningService

FIRST, SECOND = make_gpu(0), make_gpu(1)
RIGHT = notebook_bytes("def double(X): return X + X", "def halve(X): return X / 2")


def make_access(gpu: GPU) -> DeviceAccess:
    """Return what a process needs to use a GPU that does not exist."""
    return DeviceAccess(gpu.uuid, ())


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> StandInDriver:
    made = StandInDriver((FIRST,))
    for module in (own_gpu, guarded_gpu):
        monkeypatch.setattr(module, "open_driver", lambda: made)
    monkeypatch.setattr(own_gpu, "find_access", make_access)
    monkeypatch.setattr(session, "find_library_folders", lambda _: ())
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return made


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    with RunningService(tmp_path) as made:
        yield made


@pytest.fixture
def runner(service: RunningService, driver: StandInDriver) -> Iterator[JobRunner]:
    with closing(JobRunner(service.settings, service.app, OwnGPU(FIRST))) as made:
        yield made


def test_a_worker_uses_the_only_gpu_or_the_one_that_is_named(
    driver: StandInDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert choose_gpu(["gpu", "gpu-small"], 1) == FIRST
    driver.gpus = (FIRST, SECOND)
    with pytest.raises(InputError, match="grader worker --devices all"):
        choose_gpu(["gpu"], 1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", SECOND.uuid)
    assert choose_gpu(["gpu"], 1) == SECOND


def test_the_queue_cpu_uses_no_gpu(driver: StandInDriver) -> None:
    assert choose_gpu(["cpu"], 4) is None
    with pytest.raises(InputError, match="the queue cpu uses no GPU"):
        choose_gpu(["cpu", "gpu"], 1)


def test_a_worker_and_what_it_starts_see_its_gpu_only(driver: StandInDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with hold_own_gpu(["gpu"], 1) as own:
        assert own
        assert os.environ["CUDA_VISIBLE_DEVICES"] == FIRST.uuid
        with pytest.raises(InputError, match="is used by another worker"), hold_own_gpu(["gpu-small"], 1):
            pass


def test_on_the_queue_cpu_a_worker_and_what_it_starts_see_no_gpu(
    driver: StandInDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with hold_own_gpu(["cpu"], 4) as own:
        assert own is None
        assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_a_gpu_is_for_one_submission_at_a_time(driver: StandInDriver) -> None:
    with pytest.raises(InputError, match="--processes 1"):
        choose_gpu(["gpu"], 2)


def test_a_gpu_whose_device_files_cannot_be_used_is_refused_at_once(
    driver: StandInDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_gpu, "find_access", find_access)
    with pytest.raises(InputError, match="/dev/nvidia0 is missing"):
        choose_gpu(["gpu"], 1)


def test_without_a_driver_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_gpu, "open_driver", lambda: None)
    assert choose_gpu(["gpu"], 2) is None
    with pytest.raises(DeviceFault, match="the driver is gone"):
        OwnGPU(FIRST)


def test_a_fault_before_a_job_is_claimed_is_no_job_s(
    service: RunningService, runner: JobRunner, driver: StandInDriver
) -> None:
    batch = service.accept({"one": RIGHT})
    assert service.enqueue() == 1
    driver.faults[FIRST.uuid] = ["Xid 79: it has fallen off the bus"]
    runner.run(service.gradings(batch)["one"].id, "cpu")
    job = service.gradings(batch)["one"]
    assert (job.state, job.attempts, job.fence, job.device_faults) == (State.WAITING, 0, 0, 0)
    assert job.publications == 1  # its message was sent again, for another worker
    assert runner.device_lost
    runner.run(job.id, "cpu")
    assert service.gradings(batch)["one"].fence == 0  # not claimed, although the fault was taken


def test_a_fault_while_a_job_is_graded_gives_it_back_uncounted(
    service: RunningService, runner: JobRunner, driver: StandInDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = service.accept({"one": RIGHT})
    grade = runner.session.grade

    def grade_on_a_gpu_that_fails(*arguments: object, **options: object) -> object:
        driver.faults[FIRST.uuid] = ["Xid 48: an error in its memory"]
        return grade(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(runner.session, "grade", grade_on_a_gpu_that_fails)
    runner.run(service.gradings(batch)["one"].id, "cpu")
    job = service.gradings(batch)["one"]
    assert (job.state, job.attempts, job.device_faults) == (State.WAITING, 0, 1)
    assert "Xid 48" in job.message
    assert service.reports(batch)["one"] == []
    assert runner.device_lost


def test_a_job_over_which_gpus_fail_again_and_again_ends_as_a_system_error(
    service: RunningService, driver: StandInDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = service.accept({"one": RIGHT})

    def fail(*_: object, **__: object) -> None:
        raise DeviceFault("Xid 79: it has fallen off the bus")

    for _ in range(3):
        with closing(JobRunner(service.settings, service.app, OwnGPU(FIRST))) as runner:
            monkeypatch.setattr(runner.session, "grade", fail)
            assert service.gradings(batch)["one"].state is State.WAITING
            runner.run(service.gradings(batch)["one"].id, "cpu")
    job = service.gradings(batch)["one"]
    assert job.state is State.FAILED
    assert "a GPU failed in 3 attempts" in job.message


def test_memory_that_does_not_come_back_is_found_after_the_report_is_stored(
    service: RunningService, runner: JobRunner, driver: StandInDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded_gpu, "require_memory_back", partial(require_memory_back, seconds=0.1))
    batch = service.accept({"one": RIGHT})
    grade = runner.session.grade

    def grade_and_leave_memory(*arguments: object, **options: object) -> object:
        report = grade(*arguments, **options)  # type: ignore[arg-type]
        driver.used[FIRST.uuid] = 2**30
        return report

    monkeypatch.setattr(runner.session, "grade", grade_and_leave_memory)
    runner.run(service.gradings(batch)["one"].id, "cpu")
    job = service.gradings(batch)["one"]
    assert (job.state, job.device_faults) == (State.GRADED, 0)
    assert [report.score for report in service.reports(batch)["one"]] == [3]
    assert runner.device_lost


def test_what_a_killed_process_left_on_the_gpu_is_found_before_a_job_is_claimed(
    service: RunningService, runner: JobRunner, driver: StandInDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_gpu, "require_memory_back", partial(require_memory_back, seconds=0.1))
    batch = service.accept({"one": RIGHT})
    driver.used[FIRST.uuid] = 2**30
    runner.run(service.gradings(batch)["one"].id, "cpu")
    assert service.gradings(batch)["one"].fence == 0
    assert runner.device_lost


def test_a_note_of_the_driver_is_logged_and_no_fault(driver: StandInDriver, caplog: pytest.LogCaptureFixture) -> None:
    driver.notes[FIRST.uuid] = ["Xid 31: an access to memory that is not the program's"]
    with caplog.at_level("INFO"):
        OwnGPU(FIRST).check()
    assert "Xid 31" in caplog.text

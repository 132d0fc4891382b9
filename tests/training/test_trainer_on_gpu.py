"""Trainings on a GPU: the processes are real, and a stand-in for `torch.cuda` computes on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from grader.errors import DeviceFault, SystemFault
from grader.gpu.driver import GPUSettings
from grader.models.recipe import Recipe
from grader.sandbox.protocol.limits import Limits
from grader.training import trainer as trainer_module
from grader.training.cache import ResultCache, TrainingJob
from grader.training.datasets import DataSet
from grader.training.trainer import Trainer
from tests.support.gpus import GIB, StandInDriver, make_gpu, make_slice
from tests.support.small_models import Branches, graph, sequential
from tests.support.stand_in_cuda import make_command

RECIPE = Recipe(images=1000, epochs=1, batch=48, optimizer="adam", lr=0.01, side=28, threshold=0.4, judged=500)
GPU = make_gpu()
Make = Callable[..., Trainer]


def jobs(seeds: int = 1, recipe: Recipe = RECIPE) -> list[TrainingJob]:
    return [TrainingJob(graph(sequential), recipe, seed) for seed in range(seeds)]


@pytest.fixture
def made(fashion_mnist: DataSet, tmp_path: Path) -> Iterator[Make]:
    with ExitStack() as stack:

        def make(scenario: str, driver: StandInDriver | None = None, silence: float = 120, **more: object) -> Trainer:
            command = make_command(scenario, tmp_path)
            results = ResultCache(fashion_mnist.sha256, "cpu", tmp_path / "results")
            options = {"results": results, "gpu": GPU, **more}
            driver = driver or StandInDriver()
            return stack.enter_context(
                Trainer(fashion_mnist, driver=driver, command=command, silence=silence, **options)  # type: ignore[arg-type]
            )

        yield make


@pytest.mark.slow
def test_recorded_steps_and_eager_ones_train_the_same_model(made: Make, tmp_path: Path) -> None:
    (recorded,) = made("works").train({"a": jobs()})["a"]
    other = ResultCache("other", "cpu", tmp_path / "eager")
    eager = made("records nothing", results=other)
    (result,) = eager.train({"a": jobs()})["a"]
    assert result == recorded
    assert result.accuracy > 0.4
    assert b"trains without recording its steps" in read_log(eager)


def read_log(trainer: Trainer) -> bytes:
    file = trainer._processes[0]._log
    file.seek(0)
    return file.read()


def test_a_process_sees_its_gpu_alone(made: Make, tmp_path: Path) -> None:
    made("works").train({"a": jobs()})
    assert {path.read_text() for path in tmp_path.glob("started-*")} == {GPU.uuid}


def test_results_are_kept_by_what_decides_numbers_on_the_gpu(
    made: Make, fashion_mnist: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADER_CACHE", str(tmp_path / "cache"))
    trainer = made("works", results=None)
    versions = trainer.describe()
    assert versions is not None
    assert (versions.name, versions.multiprocessors) == ("Stand-in", 132)
    trainer.train({"a": jobs()})
    assert ResultCache(fashion_mnist.sha256, versions).get(jobs()[0]) is not None
    assert ResultCache(fashion_mnist.sha256, "cpu").get(jobs()[0]) is None
    assert len(trainer._processes) == 1


def test_memory_that_runs_out_is_tried_again_with_nothing_beside_it(made: Make) -> None:
    trainer = made("has memory for one alone")
    (result,) = trainer.train({"a": jobs()})["a"]
    assert result.accuracy > 0.4
    first, second = trainer._processes
    assert first._process.poll() is not None  # its context does not take memory from the second one
    assert second._process.poll() is None


def test_memory_that_runs_out_even_so_is_a_fault_of_ours_and_not_of_the_device(made: Make) -> None:
    with pytest.raises(SystemFault, match=r"too little memory for a training that runs alone: .*2\.00 GiB") as fault:
        made("has too little memory").train({"a": jobs()})
    assert not isinstance(fault.value, DeviceFault)


@pytest.mark.parametrize(
    ("scenario", "said"),
    [
        ("fails", "NVIDIA H200 failed: .*uncorrectable ECC"),
        ("has vanished", "NVIDIA H200 failed: .*shows this process no GPU"),
        ("hangs", "NVIDIA H200 does not answer: nothing for 20 s"),
        ("is killed each time", "NVIDIA H200 may be broken: the process that trains broke"),
    ],
)
def test_a_device_that_fails_is_taken_out_and_nothing_is_kept(
    made: Make, tmp_path: Path, scenario: str, said: str
) -> None:
    trainer = made(scenario, silence=20 if scenario == "hangs" else 300)
    with pytest.raises(DeviceFault, match=said):
        trainer.train({"a": jobs(), "b": [TrainingJob(graph(Branches), RECIPE, 0)]})
    assert not list((tmp_path / "results").glob("*.json"))
    assert all(process._process.poll() is not None for process in trainer._processes)
    with pytest.raises(DeviceFault, match=said):  # it stays closed
        trainer.train({"a": jobs()})


def test_what_the_driver_noticed_during_a_training_makes_its_result_worthless(made: Make, tmp_path: Path) -> None:
    driver = StandInDriver(faults={GPU.uuid: ["Xid 79: it has fallen off the bus"]})
    with pytest.raises(DeviceFault, match="Xid 79"):
        made("works", driver).train({"a": jobs()})
    assert not list((tmp_path / "results").glob("*.json"))


@pytest.mark.parametrize("healthy", [True, False])
def test_an_error_that_a_program_can_make_is_the_devices_only_if_the_driver_says_so(made: Make, healthy: bool) -> None:
    driver = StandInDriver()
    if not healthy:
        driver.settings[GPU.uuid] = GPUSettings(rows_failing=True)
    with pytest.raises(SystemFault, match="illegal memory access" if healthy else "cannot be repaired") as fault:
        made("is misused", driver).train({"a": jobs()})
    assert isinstance(fault.value, DeviceFault) is not healthy


def test_a_process_that_is_killed_once_is_replaced(made: Make) -> None:
    trainer = made("is killed once")
    (result,) = trainer.train({"a": jobs()})["a"]
    assert result.accuracy > 0.4
    assert len(trainer._processes) == 2


def test_between_submissions_all_memory_is_given_back(made: Make) -> None:
    trainer = made("works")
    trainer.train({"a": jobs()})
    (before,) = trainer._processes
    trainer.release()
    assert before._process.poll() is not None
    assert not trainer._processes
    trainer.train({"a": jobs(recipe=replace(RECIPE, lr=0.02))})
    (after,) = trainer._processes
    assert after._process.poll() is None


def test_small_trainings_share_the_device_and_a_large_one_has_it_alone(
    made: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = made("works")
    taken: list[int] = []
    take = trainer._room.take

    def note(seats: int, memory: int) -> AbstractContextManager[None]:
        taken.append(seats)
        return take(seats, memory)

    monkeypatch.setattr(trainer._room, "take", note)
    trainer.train({"a": jobs()})
    monkeypatch.setattr(trainer_module, "is_small", lambda graph, recipe: False)
    trainer.train({"a": jobs(recipe=replace(RECIPE, lr=0.02))})
    assert taken == [1, 8]


def test_what_one_training_may_take_follows_from_the_size_of_the_device(fashion_mnist: DataSet) -> None:
    limits = Limits()
    bounds = {}
    for gpu in (None, make_gpu(), make_slice(gib=10)):
        with Trainer(fashion_mnist, gpu=gpu, driver=StandInDriver()) as trainer:
            bounds[gpu] = trainer.bound(limits)
    assert list(bounds.values()) == [
        (limits.training_teraflops, limits.training_memory_bytes),
        (limits.training_teraflops_on_gpu, limits.training_memory_bytes_on_gpu),
        (limits.training_teraflops_on_gpu, 4 * GIB),
    ]

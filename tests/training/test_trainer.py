"""Trainings in processes of their own: real ones of a small model on a few images."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from torch import nn

from grader.errors import InputError, SystemFault
from grader.models.recipe import Mode, Recipe
from grader.training.cache import ResultCache, TrainingJob
from grader.training.datasets import DataSet
from grader.training.trainer import Trainer, offer_trainer
from tests.support.small_models import graph, sequential

RECIPE = Recipe(
    images=1000, epochs=1, batch=50, optimizer="adam", lr=0.01, side=28, threshold=0.5, judged=500
)  # fmt: skip


def linear() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


def jobs(recipe: Recipe = RECIPE, seeds: int = 3) -> list[TrainingJob]:
    return [TrainingJob(graph(sequential), recipe, seed) for seed in range(seeds)]


@pytest.fixture
def trainer(fashion_mnist: DataSet, tmp_path: Path) -> Iterator[Trainer]:
    with Trainer(fashion_mnist, results=ResultCache(fashion_mnist.sha256, "cpu", tmp_path)) as made:
        yield made


@pytest.mark.slow
def test_the_first_success_ends_a_chain_and_its_result_is_the_same_the_second_time(trainer: Trainer) -> None:
    messages: list[str] = []
    first = trainer.train({"a": jobs(), "b": [TrainingJob(graph(linear), RECIPE, 0)]}, messages.append)
    assert [len(results) for results in first.values()] == [1, 1]
    assert all(results[-1].accuracy > 0.5 for results in first.values())
    assert trainer.trained == 2
    assert any("left" in text for text in messages)
    assert trainer.train({"a": jobs()}) == {"a": first["a"]}
    assert trainer.trained == 2


@pytest.mark.slow
def test_a_threshold_that_no_seed_reaches_takes_all_tries(trainer: Trainer) -> None:
    results = trainer.train({"a": jobs(replace(RECIPE, threshold=0.999, images=200))})["a"]
    assert [result.seed for result in results] == [0, 1, 2]
    assert len({result.accuracy for result in results}) > 1


@pytest.mark.slow
def test_a_training_that_diverges_has_no_accuracy(trainer: Trainer) -> None:
    (result,) = trainer.train({"a": jobs(replace(RECIPE, lr=1e30, decay=False), seeds=1)})["a"]
    assert (result.finite, result.accuracy) == (False, 0.0)


@pytest.mark.slow
def test_two_graders_at_once_train_a_model_once(fashion_mnist: DataSet, tmp_path: Path) -> None:
    def made() -> Trainer:
        return Trainer(fashion_mnist, results=ResultCache(fashion_mnist.sha256, "cpu", tmp_path))

    with made() as one, made() as other:
        threads = [threading.Thread(target=item.train, args=({"a": jobs(seeds=1)},)) for item in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert one.trained + other.trained == 1


def killing(trainer: Trainer, times: int) -> threading.Thread:
    """Kill `times` of the processes that train, each as soon as it has started."""

    def kill() -> None:
        for number in range(times):
            while len(trainer._processes) <= number:
                time.sleep(0.01)
            os.kill(trainer._processes[number]._process.pid, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


@pytest.mark.slow
def test_a_process_that_dies_is_replaced_and_costs_nothing(trainer: Trainer) -> None:
    killer = killing(trainer, 2)
    (result,) = trainer.train({"a": jobs()})["a"]
    killer.join()
    assert result.accuracy > 0.5
    assert len(trainer._processes) == 3


def test_processes_that_go_on_dying_are_a_system_fault(trainer: Trainer) -> None:
    killer = killing(trainer, 3)
    with pytest.raises(SystemFault, match="the process that trains broke"):
        trainer.train({"a": jobs()})
    killer.join()


def test_without_a_mode_or_a_data_set_there_is_no_trainer(packaged: Path, tmp_path: Path) -> None:
    with offer_trainer(Mode.NONE, packaged) as none:
        assert none is None
    with offer_trainer(Mode.QUICK, packaged) as some:
        assert some is not None
    with pytest.raises(InputError, match="dataset-fashion-mnist"), offer_trainer(Mode.QUICK, tmp_path):
        pass


@pytest.mark.slow
def test_an_interrupt_waits_for_no_training(trainer: Trainer) -> None:
    def break_off(text: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer.train({"a": jobs(replace(RECIPE, images=20_000, epochs=50))}, break_off)
    assert all(process._process.poll() is not None for process in trainer._processes)

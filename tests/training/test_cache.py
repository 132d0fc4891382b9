"""Results of trainings by their content."""

from __future__ import annotations

import hashlib
import json
import math
import platform
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from grader.models.fit import CurvePoint
from grader.models.recipe import Recipe
from grader.training.accelerator import AcceleratorVersions
from grader.training.cache import ResultCache, TrainingJob, TrainingResult
from tests.support.small_models import Branches, graph, sequential

RECIPE = Recipe(images=1000, epochs=1, batch=100, optimizer="adam", lr=0.01, side=28, threshold=0.5)
ON_GPU = AcceleratorVersions("NVIDIA H200", "9.0", 132, "13.0", "92400")
JOB = TrainingJob(graph(sequential), RECIPE, 0)
RESULT = TrainingResult(0, 0.75, True, (CurvePoint(0.5, 1.25, 0.5), CurvePoint(1.0, 1.0, 0.625)))


@pytest.fixture
def results(tmp_path: Path) -> ResultCache:
    return ResultCache("data", "cpu", tmp_path)


def test_a_result_that_was_kept_comes_back(results: ResultCache) -> None:
    assert results.get(JOB) is None
    results.put(JOB, RESULT)
    assert results.get(JOB) == RESULT


def test_a_loss_that_is_no_number_comes_back_as_such(results: ResultCache) -> None:
    results.put(
        JOB, replace(RESULT, finite=False, points=(CurvePoint(0.5, math.nan, 0.1), CurvePoint(1.0, math.inf, 0.1)))
    )
    back = results.get(JOB)
    assert back is not None
    assert all(math.isnan(point.loss) for point in back.points)


def test_everything_that_decides_the_numbers_is_in_the_key(results: ResultCache, tmp_path: Path) -> None:
    others = [
        replace(JOB, graph=graph(Branches)),
        replace(JOB, seed=1),
        replace(JOB, recipe=replace(RECIPE, lr=0.02)),
        replace(JOB, recipe=replace(RECIPE, judged=100)),
    ]
    assert len({results.key(job) for job in (JOB, *others)}) == 5
    assert ResultCache("other data", "cpu", tmp_path).key(JOB) != results.key(JOB)
    kinds = [
        ON_GPU,
        replace(ON_GPU, name="NVIDIA L4"),
        replace(ON_GPU, capability="8.9"),
        replace(ON_GPU, multiprocessors=16),
        replace(ON_GPU, cuda="12.8"),
        replace(ON_GPU, cudnn="91000"),
    ]
    keys = {ResultCache("data", kind, tmp_path).key(JOB) for kind in kinds}
    assert len(keys | {results.key(JOB)}) == 7


def test_results_of_a_cpu_keep_the_keys_that_they_have(results: ResultCache) -> None:
    content = {
        "graph": JOB.graph.to_json(),
        "recipe": RECIPE.training,
        "seed": 0,
        "form": "1",
        "data": "data",
        "device": "cpu",
        "torch": torch.__version__,
        "threads": 1,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "machine": platform.machine(),
    }
    assert results.key(JOB) == hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    names = ["batch", "decay", "epochs", "images", "judged", "lr", "momentum", "optimizer", "side"]
    assert sorted(RECIPE.training) == names


def test_a_threshold_changes_no_training(results: ResultCache) -> None:
    assert results.key(replace(JOB, recipe=replace(RECIPE, threshold=0.9, seeds=9))) == results.key(JOB)


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[]", b'{"seed": 0}', b"\xff\xfe"])
def test_a_file_that_is_broken_is_a_result_that_is_not_there(results: ResultCache, content: bytes) -> None:
    results.put(JOB, RESULT)
    (results.folder / f"{results.key(JOB)}.json").write_bytes(content)
    assert results.get(JOB) is None

"""Results of trainings by their content."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from grader.models.fit import CurvePoint
from grader.models.recipe import Recipe
from grader.training.cache import ResultCache, TrainingJob, TrainingResult
from tests.support.small_models import Branches, graph, sequential

RECIPE = Recipe(images=1000, epochs=1, batch=100, optimizer="adam", lr=0.01, side=28, threshold=0.5)
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
    assert ResultCache("data", "a GPU", tmp_path).key(JOB) != results.key(JOB)


def test_a_threshold_changes_no_training(results: ResultCache) -> None:
    assert results.key(replace(JOB, recipe=replace(RECIPE, threshold=0.9, seeds=9))) == results.key(JOB)


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[]", b'{"seed": 0}', b"\xff\xfe"])
def test_a_file_that_is_broken_is_a_result_that_is_not_there(results: ResultCache, content: bytes) -> None:
    results.put(JOB, RESULT)
    (results.folder / f"{results.key(JOB)}.json").write_bytes(content)
    assert results.get(JOB) is None

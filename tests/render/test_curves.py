"""Learning curves are read from any evidence, and shown in numbers, blocks and charts."""

from __future__ import annotations

import math
from typing import Any

import pytest

from grader.render.curves import BLOCKS, draw_sparkline, read_curves, remove_curves

RUN = {
    "seed": 0,
    "accuracy": 0.731,
    "epochs": [0.25, 0.5, 0.75, 1.0],
    "loss": [2.3, "nan", 0.9, 0.7],
    "accuracy_by_epoch": [0.1, None, 0.6, 0.72],
}
OWN = {
    "file": "hw2.ipynb",
    "cell": 31,
    "optimizer": "SGD",
    "lr": 10.0,
    "steps": 40,
    "epochs": 1,
    "findings": [{"id": "lr", "text": "the learning rate is 10"}, {"id": "zero_grad", "text": "no zero_grad"}],
    "losses": [2.3, 4.0, "inf", 9.0],
}
TRAINING = {
    "mode": "quick",
    "recipe": "1 epoch of 20,000 images",
    "threshold": 0.6,
    "evidence": "trained here from the model's graph",
    "runs": [RUN],
    "own": [OWN],
}


def test_a_training_is_read_completely() -> None:
    curves = read_curves({"training": TRAINING})
    assert curves
    assert (curves.recipe, curves.threshold) == ("1 epoch of 20,000 images", 0.6)
    assert curves.evidence == "trained here from the model's graph"
    (run,) = curves.runs
    assert curves.describe(run) == "seed 0: accuracy 0.731 (0.6 needed)"
    assert [chart.title for chart in curves.charts] == ["loss", "accuracy"]
    assert curves.charts[0].threshold is None
    assert curves.charts[1].threshold
    assert curves.charts[1].strokes[0].end


def test_the_numbers_are_a_table_with_dashes_for_gaps() -> None:
    curves = read_curves({"training": TRAINING})
    assert curves
    assert curves.rows == (
        ("epoch", "loss, seed 0", "accuracy, seed 0"),
        ("0.25", "2.3", "0.1"),
        ("0.5", "–", "–"),  # noqa: RUF001
        ("0.75", "0.9", "0.6"),
        ("1", "0.7", "0.72"),
    )


def test_seeds_that_stopped_early_have_rows_of_their_own() -> None:
    second = {"seed": 1, "accuracy": 0.2, "epochs": [0.5, 0.6], "loss": [1.0, 2.0]}
    curves = read_curves({"training": {**TRAINING, "runs": [RUN, second]}})
    assert curves
    assert curves.rows[0] == ("epoch", "loss, seed 0", "accuracy, seed 0", "loss, seed 1")
    assert [row[0] for row in curves.rows[1:]] == ["0.25", "0.5", "0.6", "0.75", "1"]


def test_the_students_own_loop_has_its_place_settings_findings_and_losses() -> None:
    curves = read_curves({"training": TRAINING})
    assert curves
    (own,) = curves.own
    assert (own.file, own.cell) == ("hw2.ipynb", 31)
    assert own.text == "SGD, learning rate 10, 40 steps, 1 epoch"
    assert own.findings == ("the learning rate is 10", "no zero_grad")
    assert own.chart
    assert own.chart.strokes[0].path.count("M") == 2


def test_evidence_without_a_training_has_no_curves() -> None:
    for evidence in ({}, {"found": 3}, {"training": "a text"}, {"training": [1]}):
        assert read_curves(evidence) is None
        assert remove_curves(evidence) == evidence
    assert remove_curves({"training": TRAINING, "found": 3}) == {"found": 3}


@pytest.mark.parametrize(
    "training",
    [
        {},
        {"runs": [], "own": []},
        {"runs": "many", "own": 3, "threshold": "high", "recipe": ["a"], "evidence": {"a": 1}},
        {"runs": [3, None, {}, {"epochs": [1, 2], "loss": [1]}, {"epochs": "x", "loss": [1], "accuracy": True}]},
        {"runs": [{"epochs": [10**400, "nan", 1], "loss": [10**400, 1, {}], "accuracy": "inf"}]},
        {"own": [{"findings": [1, {}], "losses": [[1]], "cell": "x", "lr": "nan", "steps": None, "file": None}]},
    ],
)
def test_malformed_evidence_is_read(training: dict[str, Any]) -> None:
    curves = read_curves({"training": training})
    assert curves
    assert all(len(row) == len(curves.rows[0]) for row in curves.rows)


def test_long_curves_are_thinned_and_keep_their_ends() -> None:
    epochs = [number / 1000 for number in range(100_000)]
    run = {"seed": 0, "accuracy": 0.5, "epochs": epochs, "loss": epochs, "accuracy_by_epoch": epochs}
    own = {**OWN, "losses": epochs, "findings": [{"text": "x" * 10_000}] * 500}
    curves = read_curves({"training": {**TRAINING, "runs": [run] * 100, "own": [own] * 100}})
    assert curves
    assert len(curves.runs) <= 8
    assert len(curves.own) <= 10
    assert curves.runs[0].epochs[0] == 0
    assert curves.runs[0].epochs[-1] == epochs[-1]
    assert len(curves.rows) <= 41
    assert len(repr(curves)) < 500_000


def test_a_row_of_blocks_rises_with_the_numbers_and_has_gaps() -> None:
    assert draw_sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == BLOCKS
    assert draw_sparkline([1.0, math.nan, 0.0]) == "█ ▁"
    assert draw_sparkline([math.nan, math.inf]) == draw_sparkline([]) == ""
    assert len(draw_sparkline([2.0, 2.0, 2.0])) == 3
    assert len(draw_sparkline(range(1000), width=20)) == 20
    assert draw_sparkline([-1e308, 1e308]) == "▁█"

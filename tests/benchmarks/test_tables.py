"""What `make bench` prints of what it measured."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from benchmarks.batches import Batch
from benchmarks.measuring import Usage
from benchmarks.tables import aims, batches_of, markdown

OURS = Batch("this grader", "chapter_7", {1: Usage(11, 13), 10: Usage(15, 22), 30: Usage(25, 42)})
SLOWER = Batch("nbgrader", "chapter_7", {10: Usage(100, 200), 30: Usage(300, 600)})
SLOW = Batch("otter-grader", "chapter_7", {10: Usage(50, 100), 30: Usage(150, 300)})
KERNEL = Batch("fresh kernel", "chapter_7", {1: Usage(1, 1), 10: Usage(1.9, 10)})


def part(*batches: Batch) -> dict[str, Any]:
    """Return batches as the file of results has them."""
    found: dict[str, Any] = json.loads(json.dumps({"batches": [asdict(batch) for batch in batches]}))
    return found


def test_one_more_submission_does_not_pay_for_the_start() -> None:
    assert (OURS.cpu, OURS.wall) == (1.0, 0.5)
    assert (OURS.start_cpu, OURS.start_wall) == (12.0, 10.0)


def test_a_rate_is_told_with_the_start_and_without() -> None:
    assert OURS.a_minute == pytest.approx(72)
    assert OURS.a_minute_warm == pytest.approx(120)


def test_batches_come_back_from_a_file_as_they_were() -> None:
    assert batches_of(part(OURS, SLOW)) == [OURS, SLOW]


def test_the_better_peer_counts_and_a_bare_kernel_is_none() -> None:
    found = aims({"graders": part(OURS, SLOWER, SLOW, KERNEL)})
    assert [value for _, value, _, _ in found] == pytest.approx([10, 6])


def test_a_notebook_that_no_peer_graded_is_compared_with_the_floor_only() -> None:
    alone = Batch("this grader", "hw2_definitions", OURS.usages)
    floors = {"hw2_definitions": {"forked": {"cpu": 0.2, "wall": 0.3}}}
    ((_, value, bound, more),) = aims({"graders": part(alone, SLOW), "floors": floors})
    assert value == pytest.approx(0.6)
    assert (bound, more) == (0.1, False)


def test_an_aim_is_reached_from_above_or_from_below() -> None:
    cold = {"import torch, torchvision": {"wall": 4.0, "cpu": 4.0}, "grader check": {"wall": 4.4, "cpu": 5.0}}
    memory = {"chapter_7": {"1": 500.0, "4": 800.0}}
    parts = {"cold_start": cold, "sandboxes": {"memory": memory, "first answer": 0.2}, "graders": part(OURS, SLOW)}
    ends = [line.split(" | ")[1:] for line in markdown({"machine": {}, "parts": parts}).splitlines() if "≤" in line]
    assert ends == [["100.00", "≤ 80", "no |"], ["1.10", "≤ 1.2", "yes |"]]
    assert "| 10.00 | ≥ 25 | no |" in markdown({"machine": {}, "parts": parts})


def test_parts_that_were_not_run_are_left_out() -> None:
    text = markdown({"machine": {"Python": "3.11"}, "parts": {"memory": {"this grader": 700.4}}})
    assert text == (
        "# Benchmarks\n\n- Python: 3.11\n\n## Most memory of a class (PSS of all processes)\n\n"
        "|  | MiB |\n| --- | --- |\n| this grader | 700 |\n"
    )

"""The points that an item's evaluations earn, and which of them counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from grader.assignment import Item
from grader.judging.item_evaluation import ItemEvaluation
from grader.results.report import Verdict

__all__ = ["Scored", "choose_best", "score"]

_QUARTERS = 4  # of a point; what is earned in part is a number of them


class Scored(NamedTuple):
    """An evaluation, with the points that it earns and the name of its first test that failed, or ""."""

    points: float
    failed: str
    evaluation: ItemEvaluation


def choose_best(item: Item, evaluations: Sequence[ItemEvaluation]) -> Scored:
    """Return the best evaluation, which counts; among equals the last, because that is how the student left it."""
    scored = [score(item, evaluation) for evaluation in evaluations]
    return max(
        reversed(scored), key=lambda s: (s.points, s.evaluation.pending is not None, not _is_absent(s.evaluation))
    )


def score(item: Item, evaluation: ItemEvaluation) -> Scored:
    """Return what an evaluation earns."""
    failed = [name for name, outcome in evaluation.outcomes.items() if outcome.verdict is not Verdict.PASSED]
    if not failed:
        return Scored(item.points, "", evaluation)
    outcomes = evaluation.outcomes.values()
    share = sum(outcome.right for outcome in outcomes) / sum(outcome.total for outcome in outcomes)
    partial = item.partial and evaluation.outcomes[failed[0]].verdict is not Verdict.ABSENT
    points = math.floor(item.points * share * _QUARTERS) / _QUARTERS if partial else 0
    return Scored(points, failed[0], evaluation)


def _is_absent(evaluation: ItemEvaluation) -> bool:
    return evaluation.failure is not None and evaluation.failure.verdict is Verdict.ABSENT

"""What a training loop of the student's own costs if it is certainly wrong (issue 16).

The grader trains the model itself, so a right model passes beside a loop that could never have trained it. What was
seen of a loop is a claim of the student's process, and can only cost points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from grader.judging.training_advice import describe_finding
from grader.models.recipe import OwnLoop
from grader.results.report import ItemResult, Verdict
from grader.student import OwnTraining

__all__ = ["charge_own_loops"]

# A learning rate, another loss, labels that were changed or a frozen layer may be what an exercise asks for.
_CERTAIN = frozenset({"no_backward", "no_step", "no_gradient", "no_zero_grad", "softmax_before_loss"})


def charge_own_loops(result: ItemResult, trainings: Sequence[OwnTraining], rule: OwnLoop) -> ItemResult:
    """Return the result of a training item with what the notebook's own loops cost it.

    They cost nothing if one of them has none of the certain mistakes: an exercise may show what a mistake does.

    Args:
        result: the result, with the mistakes named as advice.
        trainings: the trainings of the item's model by the notebook's own loops.
        rule: the assignment's.
    """
    mistakes = [[text for name, text in training.findings if name in _CERTAIN] for training in trainings]
    if rule is OwnLoop.ADVICE or result.verdict is not Verdict.PASSED or not mistakes or not all(mistakes):
        return result
    texts = tuple(dict.fromkeys(text for found in mistakes for text in found))
    message = result.message
    for text in texts:
        message = message.replace(f"; {describe_finding(text)}", "")
    if rule is OwnLoop.REQUIRED:
        points, verdict, cost = 0.0, Verdict.FAILED, "this costs the points"
    else:
        points, verdict, cost = math.floor(2 * result.points) / 4, Verdict.PARTIAL, "this costs half of the points"
    first = "; ".join(map(describe_finding, texts))
    return replace(result, points=points, verdict=verdict, message=f"{first}; {cost}. The model itself is {message}")

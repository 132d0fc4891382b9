"""What evaluations earn, and which of them counts."""

from __future__ import annotations

from grader.assignment import Item
from grader.judging.item_evaluation import ItemEvaluation
from grader.judging.outcome import TestOutcome as Outcome
from grader.judging.scoring import choose_best, score
from grader.judging.states import CandidateState
from grader.results.report import Verdict
from grader.testing.failures import Pending

ITEM = Item("i", "1", "An item", 3, ("f",))
PARTIAL = Item("i", "1", "An item", 3, ("f",), partial=True)


def evaluation(*outcomes: Outcome) -> ItemEvaluation:
    return ItemEvaluation(CandidateState(None), {f"test_{n}": outcome for n, outcome in enumerate(outcomes)}, {})


RIGHT = Outcome(Verdict.PASSED, right=1)
HALF = Outcome(Verdict.FAILED, "half", 2, 4)
ABSENT = Outcome(Verdict.ABSENT, "is not there")
WAITS = Outcome(Verdict.PENDING, "waits", pending=Pending("waits"))


def test_what_is_right_earns_all_points() -> None:
    assert score(ITEM, evaluation(RIGHT, RIGHT))[:2] == (3, "")


def test_what_is_right_in_part_earns_quarters_if_the_item_gives_them() -> None:
    assert score(ITEM, evaluation(RIGHT, HALF))[:2] == (0, "test_1")
    assert score(PARTIAL, evaluation(RIGHT, HALF))[:2] == (1.75, "test_1")
    assert score(PARTIAL, evaluation(ABSENT)).points == 0


def test_the_best_counts_and_among_equals_the_last() -> None:
    first, last, absent, waits = evaluation(HALF), evaluation(HALF), evaluation(ABSENT), evaluation(WAITS)
    assert choose_best(ITEM, [first, evaluation(RIGHT), last]).points == 3
    assert choose_best(ITEM, [first, last, absent]).evaluation is last
    assert choose_best(ITEM, [waits, last]).evaluation is waits

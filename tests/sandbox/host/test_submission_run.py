"""A submission holds its slot for a bounded time in all, and keeps what was decided by then."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import pytest

from grader.assignment import Assignment
from grader.results.report import ItemResult, Verdict
from grader.sandbox.host.execution import Execution, RunOptions
from grader.sandbox.host.sandbox import Zygote
from grader.sandbox.host.slot import Slot
from grader.sandbox.host.submission_run import RunResult, SubmissionRun
from grader.student import Fault, StudentFault, Work
from tests.support.notebooks import CORR2D, submission
from tests.support.sandbox_runs import LIMITS

# The last cell changes in place what `corr2d` refers to, so a wrong result is judged again in a second run.
_CELLS = ("import torch\nscale = torch.ones(1)\n" + CORR2D.replace("return Y", "return scale * Y"), "scale.zero_()")
_OVER = "the submission ran past its 900 s in all"
_Judge = Callable[[Slot, Work, int], Sequence[tuple[str, Verdict]]]


def _run(zygote: Zygote, hw2: Assignment, judge: _Judge) -> tuple[RunResult, list[Collection[str] | None]]:
    """Run the cells, and judge them by this function. Return the result, and what was to be judged each time."""
    slot = Slot(900)
    wanted: list[Collection[str] | None] = []
    items = {item.id: item for item in hw2.items}

    def judge_work(
        work: Work,
        execution: Execution,
        *,
        only: Collection[str] | None,
        are_judged_again: Callable[[Collection[str]], bool],
    ) -> list[ItemResult]:
        # In the first run only, and only if a lost item is one that the cells may have spoilt.
        assert are_judged_again(["corr2d.values"]) is (not wanted)
        assert not are_judged_again(["pool2d.max"])
        wanted.append(only)
        decided = judge(slot, work, len(wanted))
        return [
            ItemResult(name, items[name].section, items[name].title, 0, items[name].points, verdict, "as judged")
            for name, verdict in decided
            if only is None or name in only
        ]

    options = RunOptions(hw2.names, 1, variables=hw2.variables)
    run = SubmissionRun(submission(*_CELLS).notebooks, hw2, zygote, options, LIMITS, slot)
    return run.judge_with(judge_work), wanted


def test_what_is_wrong_is_judged_again_if_there_is_time(zygote: Zygote, hw2: Assignment) -> None:
    def judge(slot: Slot, work: Work, number: int) -> Sequence[tuple[str, Verdict]]:
        return [("corr2d.values", Verdict.PASSED if number == 2 else Verdict.FAILED), ("pool2d.max", Verdict.PASSED)]

    result, wanted = _run(zygote, hw2, judge)
    assert wanted == [None, ["corr2d.values"]]
    assert {item.verdict for item in result.items} == {Verdict.PASSED}
    assert result.execution.limits_hit == []


def test_there_is_no_second_run_if_the_time_is_over_and_what_was_decided_stays(zygote: Zygote, hw2: Assignment) -> None:
    def judge(slot: Slot, work: Work, number: int) -> Sequence[tuple[str, Verdict]]:
        slot.give_back(-slot.left)
        return [("corr2d.values", Verdict.FAILED), ("pool2d.max", Verdict.PASSED)]

    result, wanted = _run(zygote, hw2, judge)
    assert wanted == [None]
    found = {item.id: (item.verdict, item.message) for item in result.items}
    assert found["pool2d.max"] == (Verdict.PASSED, "as judged")
    assert found["corr2d.values"][0] is Verdict.PENDING
    assert _OVER in found["corr2d.values"][1]
    assert result.execution.limits_hit == [_OVER]


def test_what_a_second_run_has_no_time_for_is_left_to_a_person(zygote: Zygote, hw2: Assignment) -> None:
    def judge(slot: Slot, work: Work, number: int) -> Sequence[tuple[str, Verdict]]:
        if number == 2:
            slot.give_back(-slot.left)
            return [("corr2d.shape", Verdict.PASSED), ("corr2d.values", Verdict.ERROR)]
        return [("corr2d.shape", Verdict.FAILED), ("corr2d.values", Verdict.FAILED)]

    result, wanted = _run(zygote, hw2, judge)
    assert len(wanted) == 2
    assert [item.verdict for item in result.items] == [Verdict.PASSED, Verdict.PENDING]


def test_nothing_is_asked_any_more_when_the_time_is_over(zygote: Zygote, hw2: Assignment) -> None:
    faults = []

    def judge(slot: Slot, work: Work, number: int) -> Sequence[tuple[str, Verdict]]:
        (definition, *_) = work.definitions(["corr2d"])
        with work.open(definition) as student:
            assert student.corr2d.kind == "function"
        slot.give_back(-slot.left)
        for at_most in (None, 5.0):  # a search has its own time, and this one as well
            with pytest.raises(StudentFault) as ended, work.open(definition, at_most=at_most):
                pass
            faults.append((ended.value.fault, ended.value.message))
        return [("pool2d.max", Verdict.PASSED)]

    _run(zygote, hw2, judge)
    assert faults == [(Fault.TIMED_OUT, _OVER)] * 2

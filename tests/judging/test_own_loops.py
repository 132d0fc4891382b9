"""What certainly wrong loops of the notebook's own cost a training item that its model earns."""

from __future__ import annotations

import pytest

from grader.judging.own_loops import charge_own_loops
from grader.judging.training_advice import describe_finding
from grader.models.recipe import OwnLoop
from grader.results.report import ItemResult, Verdict
from grader.student import OwnTraining

BACKWARD = ("no_backward", "SGD makes steps and no backward pass comes before them")
SOFTMAX = ("softmax_before_loss", "the scores are probabilities already")
RATE = ("learning_rate", "a learning rate of 9 is far too large for SGD")


def trained(*findings: tuple[str, str]) -> OwnTraining:
    return OwnTraining(
        "hw2.ipynb",
        3,
        0,
        0,
        "LeNet",
        61_706,
        (1, 28, 28),
        (0.0, 1.0),
        60,
        None,
        None,
        "SGD",
        0.1,
        findings,
        "steps",
        (),
    )


def learned(*findings: tuple[str, str], verdict: Verdict = Verdict.PASSED, points: float = 5) -> ItemResult:
    message = "; ".join(["right on 80.0% of 2,000 withheld images", *(describe_finding(text) for _, text in findings)])
    return ItemResult("vgg.training", "8.2.3", "It learns", points, 5, verdict, message)


@pytest.mark.parametrize(
    ("rule", "verdict", "points"),
    [(OwnLoop.HALF, Verdict.PARTIAL, 2.5), (OwnLoop.REQUIRED, Verdict.FAILED, 0), (OwnLoop.ADVICE, Verdict.PASSED, 5)],
)
def test_a_certainly_wrong_loop_costs_what_the_rubric_says(rule: OwnLoop, verdict: Verdict, points: float) -> None:
    charged = charge_own_loops(learned(BACKWARD), [trained(BACKWARD)], rule)
    assert (charged.verdict, charged.points) == (verdict, points)
    assert charged.message.count(BACKWARD[1]) == 1


def test_the_mistake_is_the_message_and_the_model_s_accuracy_follows() -> None:
    result, loops = learned(BACKWARD, SOFTMAX, RATE), [trained(BACKWARD, RATE), trained(SOFTMAX)]
    assert charge_own_loops(result, loops, OwnLoop.HALF).message == (
        f"in your own training loop: {BACKWARD[1]}; in your own training loop: {SOFTMAX[1]}; "
        "this costs half of the points. The model itself is right on 80.0% of 2,000 withheld images; "
        f"in your own training loop: {RATE[1]}"
    )


@pytest.mark.parametrize(
    "loops",
    [
        pytest.param([], id="no loop was seen, as if trainings are left out"),
        pytest.param([trained()], id="a loop without a mistake, or one that cannot be judged"),
        pytest.param([trained(RATE)], id="a mistake that may be meant"),
        pytest.param([trained(), trained(BACKWARD)], id="an experiment after a right loop"),
        pytest.param([trained(SOFTMAX), trained(BACKWARD), trained(RATE)], id="a right loop after two wrong ones"),
    ],
)
@pytest.mark.parametrize("rule", OwnLoop)
def test_what_is_not_certain_costs_nothing(loops: list[OwnTraining], rule: OwnLoop) -> None:
    assert charge_own_loops(learned(BACKWARD), loops, rule) == learned(BACKWARD)


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.PENDING, Verdict.ABSENT, Verdict.ERROR])
def test_an_item_that_earns_nothing_stays_as_it_is(verdict: Verdict) -> None:
    result = learned(BACKWARD, verdict=verdict, points=0)
    assert charge_own_loops(result, [trained(BACKWARD)], OwnLoop.HALF) == result

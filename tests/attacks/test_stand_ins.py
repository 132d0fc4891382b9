"""Attempts to earn points, or to learn something, from the right functions that stand in for wrong ones."""

from __future__ import annotations

import pytest

from grader.results.report import ItemResult, Report
from tests.support.attacks import Attack
from tests.support.hw2_book import CONV2D, IMPORTS, POINTWISE

WRONG = "def corr2d(X, K):\n    return 0 * X[:X.shape[0] - K.shape[0] + 1, :X.shape[1] - K.shape[1] + 1]"
# Asks a question on the line to the trusted side, as a stand-in does.
ASK = """
import os, socket
from grader.sandbox.protocol.channels import Channel
from grader.sandbox.protocol.values import pack_value, unpack_value
def ask(name, *args):
    channel = Channel(socket.socket(fileno=os.dup(3)))
    channel.send({"stand_in": name, "given": pack_value((args, {}), None)})
    return unpack_value(channel.receive(seconds=0.5)[1], None)
"""


def find(report: Report, name: str) -> ItemResult:
    return next(item for item in report.items if item.id == name)


def test_a_process_without_stand_ins_gets_no_answer(attack: Attack) -> None:
    report = attack(IMPORTS, ASK, "def corr2d(X, K):\n    return ask('corr2d', X, K)", carried_forward="full")
    assert find(report, "corr2d.values").points == 0


ORACLES = {
    "conv2d_layer": (
        # its own answer, from the stand-in of another function
        CONV2D.replace("return corr2d(x, self.weight) + self.bias", "return ask('Conv2D', tuple(x.shape))(x)"),
        CONV2D.replace("return corr2d(x, self.weight) + self.bias", "return corr2d(x, self.weight)"),
    ),
    "corr2d_multi_in": (
        "def corr2d_multi_in(X, K):\n    return ask('corr2d_multi_in', X, K)",
        "def corr2d_multi_in(X, K):\n    return corr2d(X[0], K[0])",
    ),
}


@pytest.mark.parametrize(
    ("item", "cell"), [(item, cell) for item, cells in ORACLES.items() for cell in cells], ids=lambda _: ""
)
def test_a_stand_in_answers_for_nothing_but_the_wrong_function(attack: Attack, item: str, cell: str) -> None:
    result = find(attack(IMPORTS, ASK, WRONG, cell, carried_forward="full"), item)
    assert (result.points, result.because_of) == (0, None)


MULTI_IN_OUT = "def corr2d_multi_in_out(X, K):\n    return torch.zeros(len(K), *X.shape[1:])"
FORWARDED = "def corr2d_multi_in_out_1x1(X, K):\n    return corr2d_multi_in_out(X, K)"


@pytest.mark.parametrize("item", ["corr2d_1x1", "equivalence_1x1"])
def test_a_function_that_only_calls_the_right_one_earns_nothing(attack: Attack, item: str) -> None:
    result = find(attack(IMPORTS, MULTI_IN_OUT, FORWARDED, carried_forward="full"), item)
    assert (result.points, result.would_earn) == (0, 4 if item == "corr2d_1x1" else None)


def test_a_test_that_calls_the_right_function_itself_carries_nothing_forward(attack: Attack) -> None:
    result = find(attack(IMPORTS, MULTI_IN_OUT, POINTWISE, carried_forward="full"), "equivalence_1x1")
    assert (result.points, result.would_earn) == (0, 4)


def test_a_function_that_was_never_written_carries_nothing_forward(attack: Attack) -> None:
    result = find(attack(IMPORTS, CONV2D, carried_forward="full"), "conv2d_layer")
    assert (result.points, result.because_of) == (0, "corr2d.values")


FLOODS = {
    "without end": "while True: ask('corr2d', torch.ones(3, 3), torch.ones(2, 2))",
    "of millions of entries": "ask('corr2d', torch.ones(2000, 1000), torch.ones(999, 999))",
    "with a huge number": "ask('corr2d', 10**600, 10**600)",
    "of nested lists": "ask('corr2d', [[[[[[[[[[1.0]]]]]]]]]])",
    "that is no question": "Channel(socket.socket(fileno=os.dup(3))).send({'stand_in': {}, 'given': 'nothing'})",
    "that is cut": "os.write(3, b'\\0\\0\\1\\0{')",
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
def test_questions_are_bounded(attack: Attack, flood: str) -> None:
    conv2d = CONV2D.replace(
        "        return corr2d", f"        corr2d(x, self.weight)\n        {flood}\n        return corr2d"
    )
    result = find(attack(IMPORTS, ASK, WRONG, conv2d, carried_forward="full"), "conv2d_layer")
    assert result.points == 0


def test_what_is_carried_forward_is_what_a_right_function_would_earn(attack: Attack) -> None:
    report = attack(IMPORTS, WRONG, CONV2D, carried_forward="full")
    assert (find(report, "conv2d_layer").points, find(report, "corr2d.values").points) == (4, 0)
    assert find(attack(IMPORTS, WRONG, CONV2D), "conv2d_layer").points == 0

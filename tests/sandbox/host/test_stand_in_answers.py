"""Questions of a student's process to stand-ins are plain data, and so are the answers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import reference
from grader.models.stand_ins import StandIns
from grader.sandbox.host.stand_in_answers import answer_question, is_question
from grader.sandbox.protocol.encoding import Array, Failure, decode, encode
from grader.sandbox.protocol.tensors import tensor_to_array
from grader.sandbox.protocol.values import pack_value, unpack_value

X, K = torch.arange(6.0).reshape(2, 3), torch.ones(1, 2)


def refuse(value: object) -> Any:
    raise TypeError


def ask(question: dict[str, Any]) -> Any:
    question = decode(encode(question))
    assert is_question(question)
    return decode(encode(answer_question(StandIns({"corr2d": reference.corr2d}), question)))


def test_a_call_is_answered_with_a_value() -> None:
    kind, packed = ask({"stand_in": "corr2d", "given": pack_value(((X, K), {}), refuse)})
    assert kind == "value"
    assert torch.equal(unpack_value(packed, refuse), reference.corr2d(X, K))


def test_a_cotangent_is_answered_with_gradients() -> None:
    cotangent = tensor_to_array(torch.ones(2, 2))
    answer = ask({"stand_in": "corr2d", "given": pack_value(((X, K), {}), refuse), "cotangent": cotangent})
    assert [type(entry) for entry in answer] == [Array, Array]
    assert [entry.shape for entry in answer] == [(2, 3), (1, 2)]


MALFORMED: dict[str, dict[str, Any]] = {
    "no arguments": {"stand_in": "corr2d"},
    "no tuple": {"stand_in": "corr2d", "given": ("list",)},
    "no pair": {"stand_in": "corr2d", "given": pack_value((1, 2, 3), refuse)},
    "no names": {"stand_in": "corr2d", "given": pack_value(((X,), {1: K}), refuse)},
    "no tensor": {"stand_in": "corr2d", "given": pack_value(((X, K), {}), refuse), "cotangent": "1"},
    "no shape": {
        "stand_in": "corr2d",
        "given": pack_value(((X, K), {}), refuse),
        "cotangent": tensor_to_array(torch.ones(9)),
    },
    "an unknown kind": {"stand_in": "corr2d", "given": ("code", "1")},
    "another name": {"stand_in": ("corr2d",), "given": pack_value(((X, K), {}), refuse)},
    "a generator": {"stand_in": "corr2d", "given": ("tuple", ("iterator", 1), ("dict",))},
}


@pytest.mark.parametrize("question", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_question_is_answered_with_a_failure(question: dict[str, Any]) -> None:
    answer = ask(question)
    assert isinstance(answer, Failure)
    assert answer.name == "Unanswered"


def test_other_frames_are_no_questions() -> None:
    assert not any(map(is_question, (None, 1, "stand_in", ("stand_in",), {"stands_in": 1}, Failure("stand_in", ""))))

"""Functions of our own that answer in place of a student's wrong ones."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import reference
from grader.models.stand_ins import Description, StandIns, Unanswered

X, K = torch.arange(12.0).reshape(3, 4), torch.tensor([[1.0, 2.0], [3.0, 5.0]])


def stand_ins() -> StandIns:
    return StandIns({"corr2d": reference.corr2d, "block": reference.Residual, "grow": lambda n: [0.0] * n * n})


def test_a_call_is_answered_and_counted() -> None:
    ours = stand_ins()
    assert torch.equal(ours.call("corr2d", (X,), {"K": K}), reference.corr2d(X, K))
    assert (ours.asked["corr2d"], ours.asked["block"]) == (1, 0)


def test_gradients_are_those_of_the_right_function() -> None:
    learnable, cotangent = [X.clone().requires_grad_(), K.clone().requires_grad_()], torch.arange(6.0).reshape(2, 3)
    expected = torch.autograd.grad(reference.corr2d(*learnable), learnable, cotangent)
    found = stand_ins().find_gradients("corr2d", (X,), {"K": K}, cotangent)
    for gradient, right in zip(found, expected, strict=True):
        assert gradient is not None
        assert torch.allclose(gradient, right)
    assert stand_ins().find_gradients("corr2d", (X.long(), K), {}, cotangent)[0] is None


def test_a_module_is_answered_by_its_description() -> None:
    answer = stand_ins().call("block", (4,), {"use_1x1conv": True})
    assert isinstance(answer, Description)
    assert [kind for kind, _ in answer.module["layers"]].count("LazyConv2d") == 3


QUESTIONS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "to nobody": ("corr3d", (X, K)),
    "that is no right call": ("corr2d", (X,)),
    "with a large tensor": ("corr2d", (torch.ones(200, 200), K)),
    "with a large number": ("grow", (10**5,)),
    "with an object": ("corr2d", (nn.Linear(1, 1), K)),
    "that is nested deeply": ("corr2d", ([[[[[[[[[[1.0]]]]]]]]]],)),
    "with a large answer": ("grow", (1000,)),
}


@pytest.mark.parametrize(("name", "args"), QUESTIONS.values(), ids=QUESTIONS.keys())
def test_some_questions_are_not_answered(name: str, args: tuple[Any, ...]) -> None:
    with pytest.raises(Unanswered):
        stand_ins().call(name, args, {})


def test_the_number_of_questions_is_bounded() -> None:
    ours = stand_ins()
    for _ in range(1000):
        ours.call("grow", (1,), {})
    with pytest.raises(Unanswered, match="too many questions"):
        ours.call("grow", (1,), {})


def test_the_numbers_that_follow_do_not_depend_on_answers() -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    StandIns({"draw": lambda: torch.rand(5)}).call("draw", (), {})
    assert torch.equal(torch.rand(1), expected)

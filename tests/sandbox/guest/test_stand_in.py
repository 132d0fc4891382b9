"""Functions in a student's process that ask the trusted side."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import torch
from torch import nn

import reference
from grader.models.stand_ins import StandIns
from grader.sandbox.guest.stand_in import bind_stand_ins
from grader.sandbox.host.stand_in_answers import answer_question
from grader.sandbox.protocol.channels import Channel
from grader.sandbox.protocol.encoding import Closed


@pytest.fixture
def namespace() -> Iterator[dict[str, Any]]:
    """Names that are bound to stand-ins, whose questions a thread answers."""
    ours, theirs = map(Channel, socket.socketpair())
    right = StandIns({"corr2d": reference.corr2d, "vgg_block": reference.vgg_block})

    def answer() -> None:
        with suppress(Closed):
            while True:
                ours.send(answer_question(right, ours.receive()))

    thread = threading.Thread(target=answer)
    thread.start()
    bound: dict[str, Any] = {"corr2d": None}
    bind_stand_ins(right.objects, bound, theirs)
    yield bound
    theirs.close()
    thread.join()
    ours.close()


def test_a_stand_in_returns_what_the_right_function_does(namespace: dict[str, Any]) -> None:
    X, K = torch.rand(4, 5), torch.rand(2, 2)
    assert torch.equal(namespace["corr2d"](X, K=K), reference.corr2d(X, K))
    assert namespace["corr2d"].__name__ == "corr2d"


def test_gradients_go_through_a_stand_in(namespace: dict[str, Any]) -> None:
    weight, X = nn.Parameter(torch.ones(2, 2)), torch.rand(4, 5)
    found, expected = (
        torch.autograd.grad((function(X, weight) * torch.arange(12.0).reshape(3, 4)).sum(), weight)[0]
        for function in (namespace["corr2d"], reference.corr2d)
    )
    assert torch.allclose(found, expected)


def test_a_module_is_built_here(namespace: dict[str, Any]) -> None:
    block = namespace["vgg_block"](2, 8)
    assert isinstance(block, nn.Module)
    assert block(torch.rand(1, 3, 8, 8)).shape == (1, 8, 4, 4)


def test_what_is_not_answered_raises(namespace: dict[str, Any]) -> None:
    with pytest.raises(RuntimeError, match="corr2d raises"):
        namespace["corr2d"](torch.rand(4, 5))
    with pytest.raises(RuntimeError, match="the question is malformed"):
        namespace["corr2d"](nn.Linear(1, 1), 2)
    assert torch.equal(namespace["corr2d"](torch.ones(1, 1), torch.ones(1, 1)), torch.ones(1, 1))

"""A bundle judges answers that no comparison expects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from grader.assignment import load_assignment
from grader.authoring.bundling import bundle
from grader.authoring.bundling.check.bundle import Bundle
from grader.authoring.bundling.check.results import describe_item
from grader.authoring.new import new_assignment


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The bundle of a small assignment."""
    folder = tmp_path_factory.mktemp("assignments")
    new_assignment("first", folder)
    built = bundle(load_assignment(folder / "first"))
    return Bundle.from_json(built.files["check/cases.json"].decode())


@pytest.mark.parametrize(
    "answer",
    [
        lambda X: None,
        lambda X: 10**400,
        lambda X: np.array([None, "text"], dtype=object),
        lambda X: np.array(["text"]),
        lambda X: X.to("meta"),
        lambda X: X.to_sparse(),
        lambda X: X.to(torch.complex64),
        lambda X: (value for value in X),
        lambda X: {"a": X},
        lambda X: [X],
    ],
)
def test_an_odd_answer_is_wrong(first: Bundle, answer: Callable[[torch.Tensor], Any]) -> None:
    (check,) = first.judge({"softmax": answer}, "softmax")
    assert check.verdict == "wrong"
    assert all("\n" not in line for line in describe_item(check, 2))
    assert list(describe_item(check, 3))

"""What is found of a model is compared with what it should have."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch

from grader.student import Operation, Remote
from grader.testing import Mismatch, Model, assert_output, assert_parameters


def model_of(**parameters: tuple[int, ...]) -> Model:
    return Model(cast(Remote, None), (), (), cast(Any, parameters))


def test_the_number_of_learnable_numbers_is_compared() -> None:
    model = model_of(weight=(2, 12), bias=(2,))
    assert_parameters(model, 26)
    with pytest.raises(Mismatch, match="expected 61,706 parameters, found 26"):
        assert_parameters(model, 61_706)


def test_the_last_operation_gives_the_output() -> None:
    found = (Operation("relu", (3, 5)), Operation("addmm", (3, 10)))
    assert_output(found, (3, 10))
    with pytest.raises(Mismatch, match=r"expected shape \(3, 5\), found \(3, 10\)"):
        assert_output(found, (3, 5))
    with pytest.raises(Mismatch, match=r"expected shape \(3, 5\), found \(\)"):
        assert_output((), torch.zeros(3, 5).shape)

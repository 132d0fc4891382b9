"""The comparisons' policy, point by point."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from grader.testing import Mismatch, assert_close, assert_module, assert_shape

EXPECTED = torch.tensor([[19.0, 25.0], [37.0, 43.0]])
NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    "found",
    [
        EXPECTED.clone(),
        EXPECTED.double(),
        EXPECTED.half(),
        EXPECTED.to(torch.int64),
        EXPECTED + 1e-4,
        EXPECTED.clone().requires_grad_(),
    ],
)
def test_equal_within_the_tolerance_of_the_coarser_dtype_is_close(found: torch.Tensor) -> None:
    assert_close(found, EXPECTED)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (EXPECTED + torch.tensor([[0.0, 0], [0, 1]]), r"expected 43 at \[1, 1\], found 44"),
        (EXPECTED + 0.01, r"expected 19 at \[0, 0\], found 19.01"),
        (torch.tensor([[43.0]]), r"expected shape \(2, 2\), found \(1, 1\)"),
        (EXPECTED[None], r"expected shape \(2, 2\), found \(1, 2, 2\)"),
        (EXPECTED * NAN, "expected 19 at .*, found nan"),
        (EXPECTED * INF, "expected 19 at .*, found inf"),
        (EXPECTED.to(torch.complex64), "expected real numbers"),
        (EXPECTED > 0, "expected real numbers"),
        (None, "expected a tensor, found None"),
        ("nonsense", "expected a tensor, found a str"),
        ([[19, 25], [37, 43]], "expected a tensor, found a list"),
        (19.0, "expected a tensor, found a float"),
        (SimpleNamespace(kind="object"), "expected a tensor, found an object that is no tensor"),
    ],
)
def test_anything_else_is_a_mismatch_in_one_sentence(found: Any, message: str) -> None:
    with pytest.raises(Mismatch, match=message) as raised:
        assert_close(found, EXPECTED)
    json.dumps(raised.value.evidence, allow_nan=False)
    assert set(raised.value.evidence) == {"expected", "found"}


def test_nan_and_infinity_equal_only_themselves() -> None:
    expected = torch.tensor([NAN, INF, -INF, 1.0])
    assert_close(expected.clone(), expected)
    with pytest.raises(Mismatch, match=r"expected inf at \[1\], found -inf"):
        assert_close(torch.tensor([NAN, -INF, -INF, 1.0]), expected)


def test_integers_have_no_tolerance_of_their_own() -> None:
    with pytest.raises(Mismatch, match="expected 1000000, found 1000001"):
        assert_close(torch.tensor(1_000_001), torch.tensor(1_000_000))


def test_a_number_stands_for_a_tensor_without_dimensions() -> None:
    assert_close(3, torch.tensor(3.0))
    assert_close(torch.tensor(3.0), 3.0)
    with pytest.raises(Mismatch, match="expected 3, found inf"):
        assert_close(10**400, 3.0)
    with pytest.raises(Mismatch, match="found a bool"):
        assert_close(True, 1.0)


def test_numbers_that_differ_late_are_written_with_enough_digits() -> None:
    with pytest.raises(Mismatch, match=r"expected 1, found 1\.0001"):
        assert_close(torch.tensor(1.0001), torch.tensor(1.0))


def test_a_shape_is_compared_whatever_the_values() -> None:
    assert_shape(EXPECTED * NAN, (2, 2))
    with pytest.raises(Mismatch, match=r"expected a tensor of shape \(2, 2\), found None"):
        assert_shape(None, (2, 2))


def test_a_module_is_known_by_its_kind() -> None:
    module = SimpleNamespace(kind="module")
    assert assert_module(module, "LeNet()") is module
    with pytest.raises(Mismatch, match=r"LeNet\(\) should give an nn.Module, found a function"):
        assert_module(SimpleNamespace(kind="function"), "LeNet()")

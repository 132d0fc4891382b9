"""Evidence is plain JSON of bounded size."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any

import torch

from grader.results.evidence import clip, to_plain_json

NAN, INF = math.nan, math.inf


def test_evidence_is_plain_json() -> None:
    tensor = torch.tensor([1 / 3, NAN, INF, -INF, -0.00001])
    assert to_plain_json(tensor) == {"shape": [5], "dtype": "float32", "values": [0.3333, "nan", "inf", "-inf", 0.0]}
    assert to_plain_json(torch.zeros(65))["values"] is None
    assert to_plain_json({"size": (2, 3), "mode": None, "layer": SimpleNamespace(kind="module")}) == {
        "size": [2, 3],
        "mode": None,
        "layer": "<module>",
    }


def test_long_texts_lists_and_nested_values_are_cut() -> None:
    assert clip("a" * 10, 4) == "aaa…"
    assert to_plain_json("b" * 501) == "b" * 499 + "…"
    assert to_plain_json(list(range(65))) == [*range(64), "…"]
    nested = to_plain_json([[0] * 60] * 60)
    assert nested[-1] == "…"


def test_huge_numbers_and_deep_values_can_be_written_as_json() -> None:
    endless: dict[str, Any] = {}
    deepest = endless
    for _ in range(2000):
        deepest["a"] = deepest = {}
    plain = to_plain_json({"huge": 10**10_000, "large": 2**900, "deep": endless})
    assert plain["huge"] == "a whole number of 33220 bits"
    assert plain["large"] == 2**900
    assert json.dumps(plain).count("{") < 30

"""The evidence of an item names its inputs in the order of the call, with the words of the rubric."""

from __future__ import annotations

from typing import Any

import pytest

from grader.judging import symbols
from grader.judging.symbols import explain_symbols
from grader.results.report import ItemResult, Verdict

WORDS = {"X": "the input", "found": "the output", "unused": "x"}


def explain(evidence: dict[str, Any], words: dict[str, str] = WORDS) -> Any:
    result = ItemResult("a", "1", "a", 0, 1, Verdict.FAILED, "is wrong", evidence=evidence)
    return explain_symbols(result, words).evidence.get("symbols")


def test_the_public_names_are_sorted() -> None:
    assert symbols.__all__ == sorted(symbols.__all__)


def test_the_order_is_kept_and_names_without_words_too() -> None:
    assert explain({"inputs": {"X": 1, "K": 2}}) == [["X", "the input"], ["K", ""], ["found", "the output"]]
    assert explain({"inputs": {"b": 1, "X": 2}}, {}) == [["b", ""], ["X", ""]]


def test_names_inside_results_and_of_the_smallest_case_are_explained() -> None:
    assert explain({"found": {"X": 1}}) == [["X", "the input"], ["found", "the output"]]
    assert explain({"smallest": {"inputs": {"X": 1}}}) == [["X", "the input"], ["found", "the output"]]


@pytest.mark.parametrize(
    "evidence", [{}, {"found": 3}, {"found": {"shape": [1], "values": [1]}}, {"inputs": 3}, {"smallest": 3}]
)
def test_evidence_without_names_stays_as_it_is(evidence: dict[str, Any]) -> None:
    assert explain(evidence) is None

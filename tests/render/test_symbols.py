"""Names in evidence are explained in the order of the call, and a part of a tensor says which part it is."""

from __future__ import annotations

from typing import Any

import pytest

from grader.render import symbols
from grader.render.evidence import make_exhibits, read_cases
from grader.render.symbols import read_symbols

WORDS = [
    ["X", "the input (image, channel, row, column)"],
    ["K", "the kernel (output channel, input channel, row, column)"],
    ["b", "the bias"],
    ["weight", "the learned kernel (output channel, input channel, row, column)"],
    ["parameters", "the numbers of the layers"],
    ["found", "the output (image, channel, row, column)"],
]
CUBE = {"shape": [2, 1, 1], "dtype": "float32", "values": [[[1.0]], [[2.0]]]}
SQUARE = {"shape": [1, 1], "dtype": "float32", "values": [[1.0]]}
FOUR = {"shape": [1, 2, 1, 1], "dtype": "float32", "values": [[[[1.0]], [[2.0]]]]}


def meanings(evidence: dict[str, Any]) -> dict[str, str]:
    groups = make_exhibits({**evidence, "symbols": WORDS})
    return {exhibit.label: exhibit.meaning for group in groups for exhibit in group}


def test_the_public_names_are_sorted() -> None:
    assert symbols.__all__ == sorted(symbols.__all__)


def test_inputs_stand_in_the_order_of_the_call() -> None:
    (case,) = read_cases({"inputs": {"K": 1, "X": 2, "b": 3, "unknown": 4}, "symbols": WORDS})
    assert [exhibit.label for exhibit in case.inputs] == ["X", "K", "b", "unknown"]
    smallest = {"inputs": {"K": 1, "X": 2}}
    first, _ = read_cases({"smallest": smallest, "note": 1, "symbols": WORDS})
    assert [exhibit.label for exhibit in first.inputs] == ["X", "K"]


def test_a_name_is_explained_and_symbols_are_no_value_of_their_own() -> None:
    assert meanings({"inputs": {"X": SQUARE, "b": 0.5, "unknown": 1}}) == {
        "X": "the input",
        "b": "the bias",
        "unknown": "",
    }


def test_a_part_of_a_tensor_says_which_part_it_is() -> None:
    assert meanings({"inputs": {"X": CUBE, "K": FOUR}}) == {
        "X[0]": "the input: channel, row, column; channel 0 of X",
        "X[1]": "channel 1 of X",
        "K[0][0]": "the kernel: output channel, input channel, row, column; output channel 0, input channel 0 of K",
        "K[0][1]": "output channel 0, input channel 1 of K",
    }


def test_results_and_their_parts_are_explained_too() -> None:
    assert meanings({"expected": SQUARE, "found": SQUARE}) == {"expected": "", "found": ""}
    assert meanings({"found": CUBE})["found[1]"] == "channel 1 of the output"
    assert meanings({"found": {"weight": FOUR}})["found[weight][0][1]"] == "output channel 0, input channel 1 of weight"


@pytest.mark.parametrize(
    "listed", [None, 3, "X", [3], [["X"]], [["X", 3]], [[["X"], "a"]], [["X", "(((("]], [["X", ""]]]
)
def test_any_symbols_can_be_read(listed: Any) -> None:
    assert all(isinstance(name, str) for name in read_symbols({"symbols": listed}))
    make_exhibits({"inputs": {"X": CUBE}, "symbols": listed})


def test_words_are_sanitised_and_bounded() -> None:
    read = read_symbols({"symbols": [[f"X{number}", "\x1b[31m\u202e" + "x" * 10_000] for number in range(10_000)]})
    assert len(read) <= 40
    assert all(len(symbol.words) < 300 and not {"\x1b", "\u202e"} & set(symbol.words) for symbol in read.values())

"""What somebody probably meant: near names, and none that are far off."""

from __future__ import annotations

import pytest

from grader.spelling import did_you_mean, find_near, offer

COMMANDS = ["check", "batch", "schema", "fetch", "status"]


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("chek", ["check"]),
        ("Check", ["check"]),
        ("stat", ["status"]),
        ("b", []),
        ("regrade", []),
        ("", []),
    ],
)
def test_only_names_that_are_most_like_the_word_are_found(word: str, near: list[str]) -> None:
    assert find_near(word, COMMANDS) == near


def test_underscores_and_capitals_make_no_difference() -> None:
    assert find_near("--min_score", ["--min-score", "--json"]) == ["--min-score"]
    assert find_near("LENET.layers", ["lenet.layers", "LeNet"]) == ["lenet.layers"]


def test_two_names_that_are_alike_are_both_offered() -> None:
    assert did_you_mean("hw4", ["hw2", "hw3", "project"]) == "did you mean hw2 or hw3?"
    assert did_you_mean("exam", ["hw2", "hw3"]) == ""


def test_what_is_known_is_listed_also_if_nothing_is_near() -> None:
    assert offer("exam", ["hw2", "hw3"]) == "give one of hw2, hw3"
    assert offer("hv2", ["hw2"]) == "did you mean hw2? give one of hw2"
    assert offer("hw2", []) == ""

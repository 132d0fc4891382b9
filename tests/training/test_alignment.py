"""Steps are aligned as a diff aligns lines."""

from __future__ import annotations

import pytest

from grader.training.alignment import align, are_alike, list_intervals
from grader.training.steps import Step


def convolution(width: int, kernel: int = 3, on_shortcut: bool = False) -> Step:
    return Step("convolution", width=width, kernel=(kernel, kernel), stride=(1, 1), on_shortcut=on_shortcut)


RELU, POOL, SUM = Step("activation", "relu"), Step("pooling", "maximum", kernel=(2, 2)), Step("join", "add")


@pytest.mark.parametrize(
    ("found", "book", "pairs"),
    [
        ([1, 2, 3], [1, 2, 3], [(1, 1), (2, 2), (3, 3)]),
        ([1, 3], [1, 2, 3], [(1, 1), (None, 2), (3, 3)]),
        ([1, 2, 3], [1, 3], [(1, 1), (2, None), (3, 3)]),
        ([], [1], [(None, 1)]),
        ([], [], []),
        ([1, 1], [1], [(1, 1), (1, None)]),
    ],
)
def test_the_fewest_steps_are_without_a_partner(
    found: list[int], book: list[int], pairs: list[tuple[int | None, int | None]]
) -> None:
    assert align(found, book, lambda i, j: 0.0 if i == j else 100.0, open_end=False) == pairs


def test_the_rest_of_the_book_is_not_missed_if_the_model_raises() -> None:
    assert align([1], [1, 2, 3], lambda i, j: 0.0 if i == j else 100.0, open_end=True) == [(1, 1)]


def test_an_interval_holds_what_stands_between_two_layers_of_both_models() -> None:
    found = (convolution(6), POOL, convolution(16), RELU)
    book = (convolution(6), RELU, POOL, convolution(16), convolution(16, 5), RELU)
    before, between, after = list_intervals(found, book, open_end=False)
    assert (before.found, before.book, before.extra, before.missing) == (None, None, (), ())
    assert (between.found_between, between.book_between) == ((1,), (1, 2))
    assert (after.missing, after.found_between, after.book_between) == ((4,), (3,), (5,))


def test_a_shortcut_is_missed_although_the_sum_after_it_is_refused() -> None:
    refused = Step("join", "add", is_refused=True)
    *_, last = list_intervals(
        (convolution(6), refused),
        (convolution(6), convolution(6, 1, on_shortcut=True), SUM, RELU, convolution(9)),
        open_end=True,
    )
    assert (last.missing, last.book_between) == ((1,), (2,))


def test_variants_are_alike_if_a_rubric_says_so() -> None:
    assert are_alike("relu", "sigmoid", [("relu", "sigmoid")])
    assert not are_alike("relu", "tanh", [("relu", "sigmoid")])
    assert are_alike("tanh", "tanh", ())

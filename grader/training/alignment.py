"""Align the steps of a student's model with those of the textbook's, as a diff aligns lines."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from grader.training.steps import Step

__all__ = ["Alike", "Interval", "align", "align_between", "are_alike", "list_intervals"]

Alike = Collection[Collection[str]]  # sets of variants between which there is no difference, as ("relu", "sigmoid")
Pair = tuple[int | None, int | None]  # the numbers of two steps, or of one that the other side does not have

_GAP = 1.1
_NEVER = 100.0
_MONOTONE = ("relu", "sigmoid", "tanh")


@dataclass(frozen=True)
class Interval:
    """What stands between two layers with weights that both sides have.

    Attributes:
        found, book: the numbers of the layers before it; None at the beginning.
        extra, missing: the numbers of layers with weights that only the student's or only the book's model has.
        found_between, book_between: the numbers of the other steps.
    """

    found: int | None
    book: int | None
    extra: tuple[int, ...]
    missing: tuple[int, ...]
    found_between: tuple[int, ...]
    book_between: tuple[int, ...]


def are_alike(one: str, other: str, alike: Alike) -> bool:
    """Return whether there is no difference between two variants."""
    return one == other or any(one in variants and other in variants for variants in alike)


def align(found: Sequence[int], book: Sequence[int], cost: Callable[[int, int], float], open_end: bool) -> list[Pair]:
    """Return the cheapest alignment of two sequences of numbers, in order.

    Args:
        found, book: the sequences.
        cost: of aligning two of their numbers. One without a partner costs 1.1.
        open_end: whether the rest of the book costs nothing, because the student's model raises before its end.
    """
    rows, columns = len(found), len(book)
    costs = [[0.0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows + 1):
        for j in range(columns + 1):
            if i or j:
                costs[i][j] = min(
                    costs[i - 1][j] + _GAP if i else _NEVER * 100,
                    costs[i][j - 1] + _GAP if j else _NEVER * 100,
                    costs[i - 1][j - 1] + cost(found[i - 1], book[j - 1]) if i and j else _NEVER * 100,
                )
    i, j = rows, columns
    if open_end:
        j = min(range(columns + 1), key=lambda column: costs[rows][column])
    pairs: list[Pair] = []
    while i or j:
        if j and costs[i][j] == costs[i][j - 1] + _GAP:
            j -= 1
            pairs.append((None, book[j]))
        elif i and costs[i][j] == costs[i - 1][j] + _GAP:
            i -= 1
            pairs.append((found[i], None))
        else:
            i, j = i - 1, j - 1
            pairs.append((found[i], book[j]))
    return pairs[::-1]


def list_intervals(found: Sequence[Step], book: Sequence[Step], open_end: bool) -> Iterator[Interval]:
    """Yield the intervals between the layers with weights that both models have, in order; see `align`."""
    layers, right = ([number for number, step in enumerate(steps) if step.has_weights] for steps in (found, book))
    pairs = align(layers, right, lambda i, j: _compare_layers(found[i], book[j]), open_end)
    matched: list[Pair] = [(i, j) for i, j in pairs if i is not None and j is not None]
    before: Pair = (None, None)
    for end in (*matched, (None, None)):
        found_inside: Sequence[int] = _list_between(found, before[0], end[0])
        book_inside: Sequence[int] = _list_between(book, before[1], end[1])
        if open_end and found and end == (None, None):
            book_inside = _cut_after(found[-1], book, book_inside)
        yield Interval(
            *before,
            extra=tuple(number for number in found_inside if found[number].has_weights),
            missing=tuple(number for number in book_inside if book[number].has_weights),
            found_between=tuple(number for number in found_inside if not found[number].has_weights),
            book_between=tuple(number for number in book_inside if not book[number].has_weights),
        )
        before = end


def _cut_after(last: Step, book: Sequence[Step], numbers: Sequence[int]) -> Sequence[int]:
    """Return the numbers of the book's steps up to the one that `last` stands for, the student's last one."""
    if last.has_weights:
        return ()
    alike = next((place for place, number in enumerate(numbers) if book[number].kind == last.kind), None)
    first = next((place for place, number in enumerate(numbers) if book[number].has_weights), len(numbers))
    return numbers[:first] if alike is None else numbers[: alike + 1]


def _list_between(steps: Sequence[Step], first: int | None, last: int | None) -> range:
    return range(0 if first is None else first + 1, len(steps) if last is None else last)


def _compare_layers(found: Step, book: Step) -> float:
    """Return how unlike two layers with weights are. From 2.2 on they are not the same layer."""
    if found.kind != book.kind:
        return _NEVER
    elsewhere = 1.0 if found.kernel == book.kernel else 1.8
    cost = elsewhere * (found.on_shortcut != book.on_shortcut) + 0.6 * (found.width != book.width)
    cost += 0.5 * (found.kernel != book.kernel) + 0.3 * (found.stride != book.stride)
    return cost + 0.2 * (found.padding != book.padding) + 0.05 * (found.shape != book.shape)


def align_between(
    found: Sequence[Step], book: Sequence[Step], interval: Interval, alike: Alike, open_end: bool
) -> list[Pair]:
    """Return the alignment of the steps of an interval.

    A maximum pooling and an increasing function may stand in either order: they compute the same.
    """
    numbers = list(interval.found_between)
    kinds = [book[j].kind for j in interval.book_between]
    if "activation" in kinds and "pooling" in kinds and kinds.index("activation") < kinds.index("pooling"):
        for place in range(len(numbers) - 1):
            first, second = found[numbers[place]], found[numbers[place + 1]]
            if first.kind == "pooling" and first.variant == "maximum" and second.variant in _MONOTONE:
                numbers[place], numbers[place + 1] = numbers[place + 1], numbers[place]
    open_end = open_end and len(found) - 1 in numbers
    return align(numbers, interval.book_between, lambda i, j: _compare_steps(found[i], book[j], alike), open_end)


def _compare_steps(found: Step, book: Step, alike: Alike) -> float:
    if found.kind != book.kind:
        return _NEVER
    cost = 0.6 * (not are_alike(found.variant, book.variant, alike)) + 0.3 * (found.kernel != book.kernel)
    return cost + 0.2 * (found.stride != book.stride) + 0.1 * (found.padding != book.padding)

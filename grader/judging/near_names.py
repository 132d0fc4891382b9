"""Names that stand for the assignment's: the same but for case, underscores, or one letter."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

__all__ = ["find_near_names", "is_near", "simplify"]

_SHORTEST = 4  # letters of a name in which one may differ


def find_near_names(expected: str, names: Iterable[str], taken: Collection[str]) -> list[str]:
    """Return the names that stand for `expected`, without those that the assignment has given to something else.

    Args:
        expected: the assignment's name.
        names: the student's own names.
        taken: the names of the assignment's other items.
    """
    return [name for name in dict.fromkeys(names) if name not in taken and is_near(name, expected)]


def is_near(name: str, expected: str) -> bool:
    """Tell whether a name is `expected` but for case, underscores, or one letter too many, missing or different.

    Digits must agree, because `corr1d` is no misspelt `corr2d`; but one may be added at the end (`LeNet5`).
    """
    if name == expected:
        return False
    one, other = simplify(name), simplify(expected)
    if one == other:
        return True
    if re.fullmatch(rf"{re.escape(other)}\d", one) and not other[-1].isdigit():
        return True
    if re.findall(r"\d", one) != re.findall(r"\d", other):
        return False
    return sum(map(str.isalpha, other)) >= _SHORTEST and _differ_by_one(one, other)


def simplify(name: str) -> str:
    """Return a name without underscores, in lower case."""
    return name.replace("_", "").lower()


def _differ_by_one(one: str, other: str) -> bool:
    """Tell whether one character was inserted, left out or replaced, or two neighbours exchanged."""
    if abs(len(one) - len(other)) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    rest, peer = one[start:], other[start:]
    return rest[1:] == peer[1:] or rest == peer[1:] or rest[1:] == peer or (rest[:2][::-1] + rest[2:] == peer)

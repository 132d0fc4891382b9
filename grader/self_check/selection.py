"""Which items somebody means by a few letters: an item's id, its beginning, or the name of a function or class."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from grader.assignment import Assignment, Item
from grader.errors import InputError

__all__ = ["find_items"]

_MOST_NEAR = 4


def find_items(assignment: Assignment, wanted: Sequence[str]) -> tuple[Item, ...]:
    """Return the items that are meant, in the rubric's order, each once.

    Args:
        assignment: what has the items.
        wanted: for each an id ("corr2d.values"), the part of ids before a dot ("corr2d"), a name that the student
            defines ("LeNet"), or else the beginning of ids ("corr2d_multi").

    Raises:
        InputError: nothing is called so.
    """
    found = {item.id for each in wanted for item in _called(assignment, each)}
    return tuple(item for item in assignment.items if item.id in found)


def _called(assignment: Assignment, wanted: str) -> list[Item]:
    items = assignment.items
    ways = (
        [item for item in items if item.id == wanted],
        [item for item in items if item.id.startswith(f"{wanted}.")],
        [item for item in items if item.names[:1] == (wanted,)],
        [item for item in items if wanted and item.id.casefold().startswith(wanted.casefold())],
    )
    found = next((way for way in ways if way), None)
    if found is None:
        known = [*(item.id for item in items), *(name for item in items for name in item.names[:1])]
        near = difflib.get_close_matches(wanted, dict.fromkeys(known), n=_MOST_NEAR, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"its items are {', '.join(item.id for item in items)}"
        raise InputError(f"no item of {assignment.name} is called {wanted!r}: {hint}")
    return found

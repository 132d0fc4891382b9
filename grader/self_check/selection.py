"""Find items by an id, the beginning of an id, or the name of a function or class."""

from __future__ import annotations

from collections.abc import Sequence

from grader.assignment import Assignment, Item
from grader.errors import InputError
from grader.spelling import did_you_mean

__all__ = ["find_items"]


def find_items(assignment: Assignment, names: Sequence[str]) -> tuple[Item, ...]:
    """Return the items with these names, in the rubric's order and without duplicates.

    Args:
        assignment: the assignment.
        names: each an id ("corr2d.values"), the part of ids before a dot ("corr2d"), a name that the student defines
            ("LeNet"), or else the beginning of ids ("corr2d_multi").

    Raises:
        InputError: a name matches no item.
    """
    matches = {item.id for name in names for item in _match(assignment, name)}
    return tuple(item for item in assignment.items if item.id in matches)


def _match(assignment: Assignment, name: str) -> list[Item]:
    items = assignment.items
    candidates = (
        [item for item in items if item.id == name],
        [item for item in items if item.id.startswith(f"{name}.")],
        [item for item in items if item.names[:1] == (name,)],
        [item for item in items if name and item.id.casefold().startswith(name.casefold())],
    )
    matches = next((group for group in candidates if group), None)
    if matches is None:
        known = [*(item.id for item in items), *(defined for item in items for defined in item.names[:1])]
        hint = did_you_mean(name, known) or f"its items are {', '.join(item.id for item in items)}"
        raise InputError(f"no item of {assignment.name} is called {name!r}: {hint}")
    return matches

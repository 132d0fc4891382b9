"""Misconceptions: typical mistakes written out as mutants of the reference.

They are used twice. `grader rubric verify` checks that the rubric catches each of them. If a student's code responds to
a test as a mutant does, the report names the mistake.

    @misconception(
        "corr2d",
        breaks=("corr2d.values",),
        says="this is true convolution: the kernel is flipped in both directions",
        look="the book's corr2d slides the kernel as it is",
    )
    def flipped_kernel(X, K):
        ...

A mutant may use its file's imports and the definitions of the model solution, and nothing else of its file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

__all__ = ["MARK", "Misconception", "misconception"]

Mutant = TypeVar("Mutant", bound=Callable[..., Any])

MARK = "_grader_misconception"


@dataclass(frozen=True)
class Misconception:
    """One typical mistake.

    Attributes:
        id: the mutant's name in snake case (ShortcutMissing becomes shortcut_missing).
        replaces: the name of the definition that it replaces.
        breaks: the ids of all items that lose points.
        says: what is wrong, as a sentence without a full stop.
        look: a hint where to look, as a sentence without a full stop.
        mutant: the wrong function or class.
    """

    id: str
    replaces: str
    breaks: frozenset[str]
    says: str
    look: str
    mutant: Callable[..., Any]


def misconception(replaces: str, *, breaks: Iterable[str], says: str, look: str) -> Callable[[Mutant], Mutant]:
    """Declare a function or class as a typical mistake.

    Args:
        replaces: the name of the definition that it replaces.
        breaks: the ids of the items that lose points, and of no others.
        says: what is wrong, as a sentence without a full stop.
        look: a hint where to look, as a sentence without a full stop.
    """

    def decorate(mutant: Mutant) -> Mutant:
        identifier = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", mutant.__name__).lower()
        setattr(mutant, MARK, Misconception(identifier, replaces, frozenset(breaks), says, look, mutant))
        return mutant

    return decorate

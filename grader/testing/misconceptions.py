"""Misconceptions: typical mistakes written out as mutants of the reference.

They serve twice: `grader rubric verify` shows that the rubric catches each of them, and where a student's work answers
a test as a mutant does, the report says which mistake it is.

    @misconception(
        "corr2d",
        breaks=("corr2d.values",),
        says="this is true convolution: the kernel is flipped in both directions",
        look="the book's corr2d slides the kernel as it is",
    )
    def flipped_kernel(X, K):
        ...

A mutant stands alone: besides imports it uses what the model solution defines, and nothing else of its file.
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
        id: its name in its file, in words (ShortcutMissing is shortcut_missing).
        replaces: the name of the definition that it stands in for.
        breaks: the ids of the items that lose points, all of them.
        says: what is wrong, in a sentence without its end.
        look: what to look at, as another.
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
        replaces: the name of the definition that it stands in for.
        breaks: the ids of the items that lose points by it, and of no others.
        says: what is wrong, in a sentence without its end.
        look: what to look at, as another.
    """

    def decorate(mutant: Mutant) -> Mutant:
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", mutant.__name__).lower()
        found = Misconception(words, replaces, frozenset(breaks), says, look, mutant)
        setattr(mutant, MARK, found)
        return mutant

    return decorate

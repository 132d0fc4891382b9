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

A mutant may use its file's imports and the definitions of the model solution, and nothing else of its file. If many
mistakes are small changes of one definition, `alter` declares each of them by its change:

    kernel_forgotten = alter(corr2d, {" * K": ""}, breaks=("corr2d.values",), says="...", look="...")
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeVar

__all__ = ["MARK", "Misconception", "alter", "misconception", "read_source"]

Mutant = TypeVar("Mutant", bound=Callable[..., Any])

MARK = "_grader_misconception"


@dataclass(frozen=True)
class Misconception:
    """One typical mistake.

    Attributes:
        id: the mutant's name in snake case (ShortcutMissing becomes shortcut_missing), or the name that an alteration
            is bound to.
        replaces: the name of the definition that it replaces.
        breaks: the ids of all items that lose points.
        says: what is wrong, as a sentence without a full stop.
        look: a hint where to look, as a sentence without a full stop.
        mutant: the wrong function or class, or the right one that is altered.
        same_as: the ids of others that respond alike to everything that a test can ask. Both are named then.
        changes: what is replaced in the source of the mutant, by what.
        on: right definitions that stand in for those of the model solution, because the mistake shows in them.
    """

    id: str
    replaces: str
    breaks: frozenset[str]
    says: str
    look: str
    mutant: Callable[..., Any]
    same_as: frozenset[str] = frozenset()
    changes: Mapping[str, str] = field(default_factory=dict)
    on: tuple[Callable[..., Any], ...] = ()

    @property
    def source(self) -> str:
        """The source of the wrong function or class, with its declaration.

        Raises:
            ValueError: something that should be replaced is not in it, or more than once.
        """
        source = read_source(self.mutant)
        if not self.changes:
            return source
        for old in self.changes:
            if source.count(old) != 1:
                raise ValueError(f"{old!r} is {source.count(old)} times in {self.mutant.__name__}, not once")
        return re.sub("|".join(map(re.escape, self.changes)), lambda match: self.changes[match[0]], source)


@lru_cache
def read_source(definition: Callable[..., Any]) -> str:
    """Return the source of a function or class."""
    return textwrap.dedent(inspect.getsource(definition))


def misconception(
    replaces: str, *, breaks: Iterable[str], says: str, look: str, same_as: Iterable[str] = ()
) -> Callable[[Mutant], Mutant]:
    """Declare a function or class as a typical mistake.

    Args:
        replaces: the name of the definition that it replaces.
        breaks: the ids of the items that lose points, and of no others.
        says: what is wrong, as a sentence without a full stop.
        look: a hint where to look, as a sentence without a full stop.
        same_as: the ids of others that respond alike to everything that a test can ask. It suffices that one of two
            names the other.
    """

    def decorate(mutant: Mutant) -> Mutant:
        identifier = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", mutant.__name__).lower()
        alike = frozenset(same_as)
        setattr(mutant, MARK, Misconception(identifier, replaces, frozenset(breaks), says, look, mutant, alike))
        return mutant

    return decorate


def alter(
    original: Callable[..., Any],
    changes: Mapping[str, str],
    *,
    breaks: Iterable[str],
    says: str,
    look: str,
    same_as: Iterable[str] = (),
    on: Iterable[Callable[..., Any]] = (),
) -> Misconception:
    """Declare a small change of a right definition as a typical mistake. Its id is the name that it is bound to.

    Args:
        original: a right definition under the name that is replaced.
        changes: what is replaced in its source, by what. Each must be in it once.
        breaks, says, look, same_as: as in `misconception`.
        on: right definitions that stand in for those of the model solution, such as the book's, if the mistake makes
            them raise.

    Raises:
        ValueError: a change does not fit.
    """
    alike, below = frozenset(same_as), tuple(on)
    altered = Misconception("", original.__name__, frozenset(breaks), says, look, original, alike, dict(changes), below)
    assert altered.source  # a change that does not fit is found where it is declared
    return altered

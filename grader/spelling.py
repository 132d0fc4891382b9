"""What somebody probably meant who misspelt a name: for commands, options, items, assignments and files."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean", "find_near", "offer"]

_LIKE = 0.65  # of 1: how much alike two words are for difflib
_AS_LIKE = 0.1  # how much less like the word than the best match


def find_near(word: str, known: Iterable[str], most: int = 3) -> list[str]:
    """Return the known names that are most like a word, the best first; those that are much less like it are left out.

    Args:
        word: what was written.
        known: the names that exist.
        most: the largest number of names to return.
    """
    names = list(dict.fromkeys(known))
    if same := [name for name in names if _fold(name) == _fold(word)]:
        return same[:most]
    likeness = {name: difflib.SequenceMatcher(None, _fold(word), _fold(name)).ratio() for name in names}
    best = max(likeness.values(), default=0.0)
    near = [name for name in names if likeness[name] >= max(_LIKE, best - _AS_LIKE)]
    near += [name for name in names if not near and len(word) > 1 and _fold(name).startswith(_fold(word))]
    return sorted(near, key=lambda name: -likeness[name])[:most]


def did_you_mean(word: str, known: Iterable[str], most: int = 3) -> str:
    """Return the question "did you mean a or b?", "" if no known name is like the word."""
    near = find_near(word, known, most)
    return f"did you mean {' or '.join(near)}?" if near else ""


def offer(word: str, known: Iterable[str]) -> str:
    """Return what to write in place of a word that is not known, "" if nothing is known."""
    names = list(known)
    return f"{did_you_mean(word, names)} give one of {', '.join(names)}".strip() if names else ""


def _fold(name: str) -> str:
    return name.casefold().replace("_", "-")

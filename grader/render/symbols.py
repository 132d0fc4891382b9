"""What the names in evidence stand for, in words that the rubric gives, and what a part of a tensor is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grader.render.text import sanitise_line

__all__ = ["RESULT", "Symbol", "read_symbols"]

RESULT = "found"  # whose words are about the expected value, too
_MAX_SYMBOLS = 40
_MANY_AXES = 3  # those of a matrix need no names
_AXES = re.compile(r"(.*\S)\s*\(([^()]*)\)", re.DOTALL)
_INDEX = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True)
class Symbol:
    """The words for a name, and the names of its axes: the last one is that of the last axis, whatever their number."""

    name: str
    words: str
    axes: tuple[str, ...] = ()

    def describe(self, count: int, index: str, *, with_words: bool) -> str:
        """Return what a matrix of a tensor is, such as "the input: channel, row, column; channel 1 of X".

        Args:
            count: the number of axes of the tensor.
            index: the matrix's index in the axes before the last two, such as "[0][1]"; "" if it is all of the tensor.
            with_words: whether the name is explained, which the first matrix of a tensor does for all.
        """
        own = self.axes[-count:] if 0 < count <= len(self.axes) else ()
        words = f"{self.words}: {', '.join(own)}" if len(own) >= _MANY_AXES else self.words
        part = ", ".join(f"{axis} {position}" for axis, position in zip(own, _INDEX.findall(index), strict=False))
        if part:
            part = f"{part} of {self.words if self.name == RESULT else self.name}"
        return "; ".join(text for text in (words if with_words else "", part) if text)


def read_symbols(evidence: Mapping[str, Any]) -> dict[str, Symbol]:
    """Return the symbols that evidence explains, in the order in which a function takes them."""
    listed = evidence.get("symbols")
    symbols = {}
    for entry in listed[:_MAX_SYMBOLS] if isinstance(listed, list) else ():
        if isinstance(entry, list) and len(entry) == 2 and all(isinstance(text, str) for text in entry):
            name, words = entry
            with_axes = _AXES.fullmatch(words)
            axes = tuple(axis.strip() for axis in with_axes[2].split(",")) if with_axes else ()
            said = sanitise_line(with_axes[1] if with_axes else words)
            symbols[name] = Symbol(sanitise_line(name), said, tuple(map(sanitise_line, axes)))
    return symbols

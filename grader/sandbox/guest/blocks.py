"""Where the running code stands in its cell: a magic may run a part of a cell, and IPython changes the text first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

__all__ = ["Block"]

_MOST_ALIGNED = 5_000  # lines


@dataclass
class Block:
    """Source that is being run: a cell, the body of a cell magic, or what a cell gives to `run_cell`.

    Args:
        source: the source as it was written.
        text: the source after IPython's transforms, which drop blank lines and join commands of several lines.
        outer: the block that runs this one.
    """

    source: str
    text: str
    outer: Block | None = None
    running: tuple[int, int] = (1, 1)  # the first and the last line, in `text`, of the statement that runs

    def __post_init__(self) -> None:
        self._outer_lines = self.outer.locate(*self.outer.running) if self.outer else None
        self._above = self._count_lines_above()

    def locate(self, first: int, last: int) -> tuple[int, int]:
        """Return where lines of `text` stand in the cell, counted from 1 with the lines of magics."""
        if self._above is None:
            assert self._outer_lines is not None
            return self._outer_lines
        text, source = self.text.splitlines(), self.source.splitlines()
        if len(text) != len(source) and len(source) <= _MOST_ALIGNED:
            spans = SequenceMatcher(None, text, source, autojunk=False).get_opcodes()
            first, last = _align(spans, first - 1)[0] + 1, _align(spans, last - 1)[1]
        return self._above + first, self._above + max(first, last)

    def _count_lines_above(self) -> int | None:
        """Return the number of lines of the cell above this block, None if it does not stand in the cell."""
        if self.outer is None:
            return 0
        whole, part = self.outer.source.rstrip(), self.source.rstrip()
        # A magic has all of a cell below its own line.
        if self.outer._above is None or not part or not whole.endswith(part):
            return None
        return self.outer._above + whole.count("\n") - part.count("\n")


def _align(spans: Sequence[tuple[str, int, int, int, int]], position: int) -> tuple[int, int]:
    """Return the range of lines in the source that the line at `position` of the text stands for."""
    for kind, start, end, source_start, source_end in spans:
        if start <= position < end:
            if kind == "equal":
                return source_start + position - start, source_start + position - start + 1
            begin = max(source_start, min(source_start + position - start, source_end - 1))
            return begin, source_end if position == end - 1 else begin + 1
    return position, position + 1

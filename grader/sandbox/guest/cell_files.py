"""Which cell a piece of the student's code stands in: told by the name of the file that IPython compiles a cell as."""

from __future__ import annotations

from types import CodeType

from grader.sandbox.guest.blocks import Block

__all__ = ["CellFiles"]

_MOST_BLOCKS = 1_000


class CellFiles:
    """The blocks that a kernel has run, by the name of their file."""

    def __init__(self) -> None:
        self._blocks: dict[str, list[tuple[int, Block]]] = {}
        self._count = 0

    def add(self, file: str, cell: int, block: Block) -> None:
        """Note that a block of a cell is compiled as `file`. The bodies of magics all have the same name."""
        if self._count < _MOST_BLOCKS:
            self._count += 1
            self._blocks.setdefault(file, []).append((cell, block))

    def locate(self, code: CodeType, line: int) -> tuple[int, int] | None:
        """Return the cell and the line in it, counted from 1, of a line of code. Return None if it is in no cell."""
        blocks = self._blocks.get(code.co_filename, [])
        same = {(cell, block.source): (cell, block) for cell, block in blocks}  # a cell may run twice
        found = [entry for entry in same.values() if len(same) == 1 or _holds(entry[1], code)]
        if len(found) != 1:
            return None
        cell, block = found[0]
        return cell, block.locate(line, line)[0]


def _holds(block: Block, code: CodeType) -> bool:
    """Return whether the code may stand in a block, by its first line."""
    lines = block.text.splitlines()
    first = code.co_firstlineno
    name = code.co_name if code.co_name.isidentifier() else ""
    return 0 < first <= len(lines) and name in lines[first - 1]

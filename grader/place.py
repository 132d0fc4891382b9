"""Places in a submission, and the words in which people are told of one: cells and lines count from 1.

Cells are counted among all cells of a notebook, Markdown too, as VS Code and Colab show them. Inside the program and in
JSON a cell has an index from 0. The bundle for students has a copy of this file, so it imports nothing of the grader.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CELL_INDEX_BASE", "Place", "describe_cell"]

CELL_INDEX_BASE = 0  # of the indexes in JSON


def describe_cell(index: int, total: int | None = None) -> str:
    """Return a cell's number as people count it: "cell 17", or "cell 17 of 26" if the number of cells is known.

    Args:
        index: its index among all cells of its notebook, from 0.
        total: the number of cells of the notebook. An index beyond it is no cell of that notebook, so the number of
            cells is left out.
    """
    return f"cell {index + 1}" if total is None or index >= total else f"cell {index + 1} of {total}"


@dataclass(frozen=True)
class Place:
    """A place in a notebook of the submission.

    Attributes:
        file: the notebook's name.
        cell: the index among all of its cells, from 0.
        line: the line within the cell, from 1; None if only the cell is known.
        code: the text of that line, stripped and shortened.
        function: the student's function that the line stands in, or "".
    """

    file: str
    cell: int
    line: int | None = None
    code: str = ""
    function: str = ""

    def describe(self, total: int | None = None) -> str:
        """Return the place in words: "hw2.ipynb, cell 17 of 26, line 9"; without the file if that is "".

        Args:
            total: the number of cells of the notebook, if it is known. In a file of one cell, only the line is named.
        """
        cell = [] if total == 1 and self.cell == 0 and self.line is not None else [describe_cell(self.cell, total)]
        line = [] if self.line is None else [f"line {self.line}"]
        return ", ".join(part for part in (self.file, *cell, *line) if part)

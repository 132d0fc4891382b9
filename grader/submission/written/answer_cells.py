"""The cells that an assignment names for an answer: by id, by tag, or by the line they stand below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from grader.assignment import AnswerCells
from grader.submission.submission import Cell
from grader.submission.written.fingerprints import split_tokens
from grader.submission.written.lines import split_lines

__all__ = ["select_answer_cells"]

_ENDS = ("<!-- END QUESTION -->", "<!-- BEGIN QUESTION -->")  # otter-grader's


def select_answer_cells(cells: Sequence[Cell], answer: AnswerCells) -> list[Cell]:
    """Return the cells with an answer, in the notebook's order; none if the assignment names none."""
    below = set(_find_below(cells, answer.below)) if answer.below else set()
    return [cell for cell in cells if _is_named(cell, answer) or cell.index in below]


def _is_named(cell: Cell, answer: AnswerCells) -> bool:
    names = {cell.id, cell.grade_id} - {""}
    return not (names.isdisjoint(answer.cell_ids) and set(cell.tags).isdisjoint(answer.tags))


def _find_below(cells: Sequence[Cell], line: str) -> Iterator[int]:
    """Yield the indexes of the cells below the one with this line, up to the next heading or question."""
    wanted = split_tokens(line)
    is_below = False
    for cell in cells:
        lines = cell.source.split("\n") if cell.kind == "markdown" else []
        if wanted and any(split_tokens(text) == wanted for text in lines):
            is_below = True
        elif is_below and (_ends(cell) or "grader.check" in cell.source):
            return
        elif is_below:
            yield cell.index


def _ends(cell: Cell) -> bool:
    if cell.kind != "markdown":
        return False
    return any(mark in cell.source for mark in _ENDS) or any(line.is_sure for line in split_lines(cell.source))

"""d2l's plot of a training, drawn once when the cell ends: redrawing it for every point costs more than the training.

It runs in the student's kernel.
"""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["defer_drawing"]


def defer_drawing(shell: Any) -> None:
    """Have d2l's boards note their points, and draw them when the cell is over."""
    board_class = getattr(sys.modules.get("d2l.torch"), "ProgressBoard", None)
    if board_class is None:
        return
    stock = board_class.draw
    changed: dict[int, tuple[Any, str]] = {}

    def note(board: Any, x: float, y: float, label: str, every_n: int = 1) -> None:
        shown, board.display = board.display, False
        try:
            stock(board, x, y, label, every_n)
        finally:
            board.display = shown
        if shown and board.data[label]:
            changed[id(board)] = board, label

    def draw_changed() -> None:
        boards = list(changed.values())
        changed.clear()
        for board, label in boards:
            _draw(board, label, stock)

    board_class.draw = note
    shell.events.register("post_execute", draw_changed)


def _draw(board: Any, label: str, stock: Any) -> None:
    """Have d2l draw a board by giving it the last point of a line once more."""
    last = board.data[label].pop()
    gathering, board.raw_points[label] = board.raw_points[label], []
    try:
        stock(board, last.x, last.y, label)
    finally:
        board.raw_points[label] = gathering
    sys.modules["matplotlib.pyplot"].close(board.fig)  # else the inline backend shows it once more

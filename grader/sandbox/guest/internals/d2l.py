"""d2l: the board that draws a training, and what its Trainer counts. d2l need not be installed."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["add_point_quietly", "draw_line", "find_board_class", "read_trainer"]


def find_board_class() -> Any:
    """Return ProgressBoard, or None if d2l is not loaded."""
    return getattr(sys.modules.get("d2l.torch"), "ProgressBoard", None)


def add_point_quietly(board: Any, x: float, y: float, label: str, every_n: int, draw: Any) -> bool:
    """Add a point to a line without drawing it. Return whether the line has something that d2l would draw.

    `draw` is d2l's `ProgressBoard.draw`.
    """
    display, board.display = board.display, False
    try:
        draw(board, x, y, label, every_n)
    finally:
        board.display = display
    return bool(display and board.data[label])


def draw_line(board: Any, label: str, draw: Any) -> None:
    """Let d2l draw a board by adding the last point of one of its lines once more."""
    last = board.data[label].pop()
    gathering, board.raw_points[label] = board.raw_points[label], []
    try:
        draw(board, last.x, last.y, label)
    finally:
        board.raw_points[label] = gathering
    sys.modules["matplotlib.pyplot"].close(board.fig)  # otherwise the inline backend shows it once more


def read_trainer(module: Any, name: str) -> int | None:
    """Return a count of the Trainer that a model belongs to, such as `epoch` or `max_epochs`, or None."""
    value = getattr(getattr(module, "trainer", None), name, None)
    return value if isinstance(value, int) else None

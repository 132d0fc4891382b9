"""d2l's plot of a training, drawn once when the cell ends: drawing each point takes longer than the training."""

from __future__ import annotations

from typing import Any

from grader.sandbox.guest.internals.d2l import add_point_quietly, draw_line, find_board_class
from grader.sandbox.guest.internals.replacement import replace_attribute

__all__ = ["defer_drawing"]


def defer_drawing(shell: Any) -> None:
    """Let d2l's boards only collect their points, and draw them when the cell has ended."""
    board_class = find_board_class()
    if board_class is None:
        return
    changed: dict[int, tuple[Any, str]] = {}

    def add_point(board: Any, x: float, y: float, label: str, every_n: int = 1) -> None:
        if add_point_quietly(board, x, y, label, every_n, draw):
            changed[id(board)] = board, label

    def draw_changed() -> None:
        boards = list(changed.values())
        changed.clear()
        for board, label in boards:
            draw_line(board, label, draw)

    draw = replace_attribute(board_class, "draw", add_point)
    shell.events.register("post_execute", draw_changed)

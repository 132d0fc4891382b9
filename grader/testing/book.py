"""Remarks on a model that differs from the textbook's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from grader.student import Remote, StudentFault
from grader.training.departures import describe_departure
from grader.training.graph import Unsupported
from grader.training.graph_reader import read_graph

__all__ = ["remark_on"]


def remark_on(
    remark: Callable[[str], None], model: Remote, image: tuple[int, ...], books: Sequence[Callable[[], nn.Module]]
) -> None:
    """Tell the student how a model departs from the textbook's, for an item that does not require the same model.

    Args:
        remark: the test's fixture.
        model: the student's model.
        image: the shape of one image, (c, h, w).
        books: make the textbook's models.
    """
    try:
        departs = describe_departure(read_graph(model.graph(image)).graph, books)
    except (StudentFault, Unsupported):
        return  # a model that cannot be compared is no mistake
    if departs:
        remark(f"it is not the book's model: {departs}")

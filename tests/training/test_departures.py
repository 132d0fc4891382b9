"""How a model departs from the textbook's, described for the student."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from torch import Tensor, nn

from grader.training.departures import describe_departure
from tests.support.small_models import Branches, BranchesTurned, graph, sequential


class ActivatesTooEarly(Branches):
    def forward(self, X: Tensor) -> Tensor:
        logits: Tensor = self.head(
            (self.bn1(self.conv1(X)).relu() + self.conv3(X)).mean((2, 3), keepdim=True).flatten(1)
        )
        return logits


@pytest.mark.parametrize(
    ("made", "book", "said"),
    [
        (Branches, BranchesTurned, ""),
        (ActivatesTooEarly, Branches, "the layers stand in another order: 3x3 convolution, normalisation, ReLU, sum"),
        (
            lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)),
            sequential,
            "the convolution is missing",
        ),
        (
            lambda: nn.Sequential(*sequential()[:4], nn.Dropout(), sequential()[4]),
            sequential,
            "dropouts: 1 (the book's has 0)",
        ),
        (
            lambda: nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), *sequential()[1:]),
            sequential,
            "the convolution has kernels of 3x3 (the book's: 5x5) and padding 1 (the book's: 2)",
        ),
        (
            lambda: nn.Sequential(sequential()[0], nn.MaxPool2d(2), nn.ReLU(), *sequential()[3:]),
            sequential,
            "",
        ),
    ],
)
def test_where_a_model_is_not_the_book_s_is_said(
    made: Callable[[], nn.Module], book: Callable[[], nn.Module], said: str
) -> None:
    departs = describe_departure(graph(made), [book])
    assert departs.startswith(said) if said else departs == ""

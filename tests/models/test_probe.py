"""The equivalence probe: what two models compute with the same random weights."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from grader.models.probe import find_departure, probe
from tests.support.small_models import Branches

IMAGES = torch.randn(4, 1, 28, 28, generator=torch.Generator().manual_seed(1))


def found(model: nn.Module) -> dict[str, Tensor]:
    return probe(model, [name for name, _ in model.named_parameters()], IMAGES, 9)


class WithoutShortcut(Branches):
    def forward(self, X: Tensor) -> Tensor:
        Y = F.relu(self.bn1(self.conv1(X)) + 0 * self.conv3(X))
        logits: Tensor = self.head(Y.mean((2, 3)))
        return logits


class StopsTheGradient(Branches):
    def forward(self, X: Tensor) -> Tensor:
        Y = F.relu(self.bn1(self.conv1(X)) + self.conv3(X).detach())
        logits: Tensor = self.head(Y.mean((2, 3)))
        return logits


class Drops(Branches):
    def forward(self, X: Tensor) -> Tensor:
        Y = F.relu(self.bn1(self.conv1(X)) + self.conv3(X))
        logits: Tensor = self.head(F.dropout(Y.mean((2, 3)), 0.5, self.training))
        return logits


class LagsInItsStatistics(Branches):
    def __init__(self) -> None:
        super().__init__()
        self.bn1.momentum = 0.5


@pytest.mark.parametrize(
    ("make", "where"),
    [(WithoutShortcut, "eval"), (Drops, "train"), (StopsTheGradient, "gradients"), (LagsInItsStatistics, "statistics")],
)
def test_a_wrong_model_departs_where_it_is_wrong(make: Callable[[], nn.Module], where: str) -> None:
    assert find_departure(found(make()), found(Branches())) == where


def test_the_same_model_computes_the_same_whatever_its_weights_were() -> None:
    assert find_departure(found(Branches()), found(Branches())) is None
    assert find_departure(found(Branches().double()), found(Branches())) is None


def test_a_malformed_result_departs() -> None:
    right = found(Branches())
    for wrong in (
        {},
        {**right, "eval": None},
        {**right, "eval": right["eval"][:2]},
        {**right, "eval": right["eval"].float()},
    ):
        assert find_departure(wrong, right) == "eval"
    nan = {**right, "gradients": torch.full_like(right["gradients"], torch.nan)}
    assert find_departure(nan, right) == "gradients"
    assert find_departure(nan, nan) is None

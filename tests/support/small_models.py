"""Small models for the tests of graphs and trainings, in forms that students write."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from grader.models.export import export_graph
from grader.training.graph import Graph
from grader.training.graph_reader import read_graph

__all__ = ["Branches", "BranchesTurned", "Functional", "graph", "sequential"]


def graph(make: Callable[[], nn.Module], image: tuple[int, ...] = (1, 28, 28)) -> Graph:
    """Return the graph of what is made."""
    return read_graph(export_graph(make(), image)).graph


def sequential() -> nn.Sequential:
    """Return a small convolutional network for images of 1x28x28."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 14 * 14, 10)
    )  # fmt: skip


class Functional(nn.Module):
    """The same network, written with functions, in place, and with a view."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.LazyLinear(10)
        self.first = nn.Conv2d(1, 4, 5, padding="same")

    def forward(self, X: Tensor) -> Tensor:
        X = F.relu_(self.first(X))
        X = F.max_pool2d(X, (2, 2), stride=2)
        logits: Tensor = self.head(X.view(X.size(0), -1))
        return logits


class Branches(nn.Module):
    """A residual block on images of 1x28x28 with a shortcut of its own, and a pooling over the whole map."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(4)
        self.conv3 = nn.Conv2d(1, 4, 1)
        self.head = nn.Linear(4, 10)

    def forward(self, X: Tensor) -> Tensor:
        Y = self.bn1(self.conv1(X))
        Y += self.conv3(X)
        logits: Tensor = self.head(nn.AdaptiveAvgPool2d(1)(F.relu(Y)).flatten(1))
        return logits


class BranchesTurned(Branches):
    """The same, the shortcut first, its sum the other way round, its pooling by another name."""

    def forward(self, X: Tensor) -> Tensor:
        shortcut = self.conv3(X)
        Y = torch.clamp(torch.add(shortcut, self.bn1(self.conv1(X))), min=0)
        logits: Tensor = self.head(F.avg_pool2d(Y, 28).reshape(Y.shape[0], 4))
        return logits
